/**
 * Checks of values that come from outside. A decoder returns the typed value or throws a ContractError that
 * names the place (`items[0].usage.total_ms`). Unknown fields are ignored, so that the service can add some.
 */

export class ContractError extends Error {
  constructor(path: string, expected: string, found: unknown) {
    super(`${path === "" ? "the answer" : path}: expected ${expected}, found ${describe(found)}`);
    this.name = "ContractError";
  }
}

export type Decoder<T> = (value: unknown, path: string) => T;

function describe(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : typeof value;
}

export const text: Decoder<string> = (value, path) => {
  if (typeof value !== "string") throw new ContractError(path, "text", value);
  return value;
};

export const flag: Decoder<boolean> = (value, path) => {
  if (typeof value !== "boolean") throw new ContractError(path, "true or false", value);
  return value;
};

export const finite: Decoder<number> = (value, path) => {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new ContractError(path, "a number", value);
  return value;
};

export const count: Decoder<number> = (value, path) => {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new ContractError(path, "a whole number from 0", value);
  }
  return value;
};

/** An instant in ISO 8601 with its offset; returned as milliseconds since 1970-01-01 UTC. */
export const instant: Decoder<number> = (value, path) => {
  const milliseconds = typeof value === "string" ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(milliseconds)) throw new ContractError(path, "an instant", value);
  return milliseconds;
};

/** A calendar date, `YYYY-MM-DD`. */
export const day: Decoder<string> = (value, path) => {
  if (typeof value !== "string" || !/^\d{4}-\d{2}-\d{2}$/.test(value)) {
    throw new ContractError(path, "a date YYYY-MM-DD", value);
  }
  return value;
};

export function nullable<T>(decoder: Decoder<T>): Decoder<T | null> {
  return (value, path) => (value === null || value === undefined ? null : decoder(value, path));
}

export function list<T>(decoder: Decoder<T>): Decoder<T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) throw new ContractError(path, "an array", value);
    return value.map((item: unknown, index) => decoder(item, `${path}[${index}]`));
  };
}

export function table<T>(decoder: Decoder<T>): Decoder<Record<string, T>> {
  return (value, path) => {
    if (!isRecord(value)) throw new ContractError(path, "an object", value);
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, decoder(item, join(path, key))]),
    );
  };
}

export function object<T extends object>(fields: { [K in keyof T]: Decoder<T[K]> }): Decoder<T> {
  return (value, path) => {
    if (!isRecord(value)) throw new ContractError(path, "an object", value);
    const result: Partial<T> = {};
    for (const key of Object.keys(fields) as (keyof T & string)[]) {
      result[key] = fields[key](value[key], join(path, key));
    }
    return result as T;
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}
