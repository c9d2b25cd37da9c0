/** What can go wrong between the page and the BFF, by what the page does about it. */

export type Failure =
  /** 401: forget everything and offer login. */
  | { kind: "session-ended" }
  /** The service, or the way to it, is down: try again, not before `retryAfterMs` where the server says so. */
  | { kind: "unavailable"; retryAfterMs: number | null }
  /** An answer that trying again will hardly change; `problem` is its kind, as the services name it. */
  | { kind: "refused"; status: number; problem: string }
  /** The answer is not what the contract says. */
  | { kind: "unreadable"; detail: string };

export class ApiError extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.kind);
    this.name = "ApiError";
    this.failure = failure;
  }
}

const TRANSIENT = new Set([408, 425, 429, 500, 502, 503, 504]);
const LONGEST_RETRY_AFTER_MS = 120_000;

/** `Retry-After` in seconds or as a date, as milliseconds from now, at most two minutes; null where unusable. */
export function retryAfter(header: string | null, now: number): number | null {
  if (header === null) return null;
  const wait = /^\s*\d+\s*$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isNaN(wait) ? null : Math.min(Math.max(wait, 0), LONGEST_RETRY_AFTER_MS);
}

export async function failureOf(response: Response, now: number): Promise<Failure> {
  const { status } = response;
  if (status === 401) return { kind: "session-ended" };
  if (TRANSIENT.has(status)) {
    return { kind: "unavailable", retryAfterMs: retryAfter(response.headers.get("Retry-After"), now) };
  }
  return { kind: "refused", status, problem: await problemKind(response) };
}

const PROBLEM = "urn:bionicpro:problem:";

/** The kind of an RFC 9457 problem, or nothing. */
async function problemKind(response: Response): Promise<string> {
  try {
    const body: unknown = await response.json();
    const type = typeof body === "object" && body !== null && "type" in body ? body.type : "";
    return typeof type === "string" && type.startsWith(PROBLEM) ? type.slice(PROBLEM.length) : "";
  } catch {
    // A proxy's answer need not be JSON; the status says enough.
    return "";
  }
}

/** What a caught value means; anything unknown is thrown on, so that a defect is not taken for an outage. */
export function failureFrom(error: unknown): Failure {
  if (error instanceof ApiError) return error.failure;
  throw error;
}
