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

/** Makes a `T` of a value; `W` is the type that the API's description gives the value, which the compiler compares. */
export type Decoder<T, W = unknown> = ((value: unknown, path: string) => T) & {
  readonly accepts?: (wire: W) => void;
};

/** What a decoder returns. */
export type Decoded<D> = D extends (value: unknown, path: string) => infer T ? T : never;

function describe(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : typeof value;
}

export const text: Decoder<string, string> = (value, path) => {
  if (typeof value !== "string") throw new ContractError(path, "text", value);
  return value;
};

export const flag: Decoder<boolean, boolean> = (value, path) => {
  if (typeof value !== "boolean") throw new ContractError(path, "true or false", value);
  return value;
};

export const finite: Decoder<number, number> = (value, path) => {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new ContractError(path, "a number", value);
  return value;
};

export const count: Decoder<number, number> = (value, path) => {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new ContractError(path, "a whole number from 0", value);
  }
  return value;
};

/** An instant in ISO 8601 with its offset; returned as milliseconds since 1970-01-01 UTC. */
export const instant: Decoder<number, string> = (value, path) => {
  const milliseconds = typeof value === "string" ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(milliseconds)) throw new ContractError(path, "an instant", value);
  return milliseconds;
};

/** A calendar date, `YYYY-MM-DD`. */
export const day: Decoder<string, string> = (value, path) => {
  if (typeof value !== "string" || !/^\d{4}-\d{2}-\d{2}$/.test(value)) {
    throw new ContractError(path, "a date YYYY-MM-DD", value);
  }
  return value;
};

/** One of `values`; another one, of a newer service, is not understood. */
export function oneOf<const V extends string>(...values: readonly V[]): Decoder<V, V> {
  return (value, path) => {
    const found = values.find((known) => known === value);
    if (found === undefined) throw new ContractError(path, `one of ${values.join(", ")}`, value);
    return found;
  };
}

export function nullable<T, W>(decoder: Decoder<T, W>): Decoder<T | null, W | null | undefined> {
  return (value, path) => (value === null || value === undefined ? null : decoder(value, path));
}

export function list<T, W>(decoder: Decoder<T, W>): Decoder<T[], readonly W[]> {
  return (value, path) => {
    if (!Array.isArray(value)) throw new ContractError(path, "an array", value);
    return value.map((item: unknown, index) => decoder(item, `${path}[${index}]`));
  };
}

export function table<T, W>(decoder: Decoder<T, W>): Decoder<Record<string, T>, Readonly<Record<string, W>>> {
  return (value, path) => {
    if (!isRecord(value)) throw new ContractError(path, "an object", value);
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, decoder(item, join(path, key))]),
    );
  };
}

/**
 * The decoder of an object of the API's type `W`: a field that `W` does not have, or whose decoder does not take
 * all that `W` allows there (null, for one), does not compile.
 */
export function shape<W extends object>() {
  return <F extends { [K in keyof F]: K extends keyof W ? Decoder<unknown, W[K]> : never }>(
    fields: F,
  ): Decoder<{ [K in keyof F]: Decoded<F[K]> }, W> => {
    const decoders = Object.entries(fields) as [string, Decoder<unknown>][];
    return (value, path) => {
      if (!isRecord(value)) throw new ContractError(path, "an object", value);
      const pairs = decoders.map(([key, decode]) => [key, decode(value[key], join(path, key))] as const);
      return Object.fromEntries(pairs) as { [K in keyof F]: Decoded<F[K]> };
    };
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}
