/** Calls to the BFF. Every call carries the CSRF header and has a deadline; failures are ApiErrors. */

import type { Language } from "../domain/format";
import { type Page, type Session, type Today, decodePage, decodeSession, decodeToday } from "./contract";
import { ContractError } from "./decode";
import { ApiError, failureOf } from "./failures";

export const LOGIN_URL = "/auth/login?return_to=/";
const CSRF = { "X-BionicPRO-CSRF": "1" };
/** Marks what the page does by itself, so that it does not keep an idle session alive. */
const BACKGROUND = { "X-BionicPRO-Background": "1" };
const DEADLINE_MS = 15_000;
const EXPORT_DEADLINE_MS = 60_000;
const PAGE_SIZE = 100;
const MOST_PAGES = 20;

export interface DateRange {
  /** First day, `YYYY-MM-DD`. */
  from: string;
  /** Last day, included. */
  to: string;
}

export type ExportFormat = "csv" | "pdf";

async function send(path: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    const headers = { ...CSRF, ...(init.headers as Record<string, string> | undefined) };
    response = await fetch(path, { cache: "no-store", redirect: "error", ...init, headers, signal });
  } catch (error) {
    throw asUnavailable(error, signal);
  }
  if (!response.ok) throw new ApiError(await failureOf(response, Date.now()));
  return response;
}

/** The caller's own abort stays what it is; a lost connection or a passed deadline is an outage. */
function asUnavailable(error: unknown, signal: AbortSignal): unknown {
  const cause: unknown = signal.reason;
  const timedOut = cause instanceof DOMException && cause.name === "TimeoutError";
  if (signal.aborted && !timedOut) return error;
  return new ApiError({ kind: "unavailable", retryAfterMs: null });
}

async function json<T>(
  path: string,
  decode: (value: unknown) => T,
  signal: AbortSignal,
  { headers = {}, method = "GET" }: { headers?: Record<string, string>; method?: "GET" | "POST" } = {},
): Promise<T> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]);
  const response = await send(path, { method, headers: { Accept: "application/json", ...headers } }, limited);
  try {
    return decode(await response.json());
  } catch (error) {
    if (error instanceof ContractError || error instanceof SyntaxError) {
      throw new ApiError({ kind: "unreadable", detail: error.message });
    }
    throw asUnavailable(error, limited);
  }
}

export function getSession(signal: AbortSignal): Promise<Session> {
  return json("/auth/session", decodeSession, signal);
}

/** Extends the session: the person said that they are still there. */
export function extendSession(signal: AbortSignal): Promise<Session> {
  return json("/auth/session", decodeSession, signal, { method: "POST" });
}

export async function logOut(signal: AbortSignal): Promise<void> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]);
  await send("/auth/logout", { method: "POST" }, limited);
}

export function getToday(signal: AbortSignal): Promise<Today> {
  return json("/reports/today", decodeToday, signal);
}

/** All days of the range, the pages followed to their end; `background` where no person asked for them. */
export async function getReports(
  { from, to }: DateRange,
  background: boolean,
  signal: AbortSignal,
): Promise<Page["items"]> {
  const headers = background ? BACKGROUND : {};
  const items: Page["items"] = [];
  let cursor: string | null = null;
  for (let pages = 0; pages < MOST_PAGES; pages += 1) {
    const query = new URLSearchParams({ from, to, limit: String(PAGE_SIZE) });
    if (cursor !== null) query.set("cursor", cursor);
    const page: Page = await json(`/reports?${query}`, decodePage, signal, { headers });
    items.push(...page.items);
    cursor = page.next_cursor;
    if (cursor === null) return items;
  }
  throw new ApiError({ kind: "unreadable", detail: `more than ${MOST_PAGES} pages` });
}

/**
 * Opens the stream of reports; `signal` ends it. The deadline covers only the answer's head, since the body
 * stays open.
 */
export async function openStream(
  lastEventId: string,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const deadline = new AbortController();
  const timer = setTimeout(() => {
    deadline.abort(new DOMException("no answer in time", "TimeoutError"));
  }, DEADLINE_MS);
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (lastEventId !== "") headers["Last-Event-ID"] = lastEventId;
  try {
    const limited = AbortSignal.any([signal, deadline.signal]);
    const response = await send("/reports/stream", { headers }, limited);
    const type = response.headers.get("Content-Type") ?? "";
    if (response.body === null || !type.startsWith("text/event-stream")) {
      throw new ApiError({ kind: "unreadable", detail: `stream of type ${type}` });
    }
    return response.body;
  } finally {
    clearTimeout(timer);
  }
}

/** The export as a file's content: a link could not carry the CSRF header. */
export async function getExport(
  format: ExportFormat,
  { from, to }: DateRange,
  language: Language,
  signal: AbortSignal,
): Promise<Blob> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(EXPORT_DEADLINE_MS)]);
  const query = new URLSearchParams({ from, to });
  // The table's columns are named for programs; only the printed summary has a language.
  if (format === "pdf") query.set("lang", language);
  const response = await send(`/reports/export.${format}?${query}`, {}, limited);
  try {
    return await response.blob();
  } catch (error) {
    throw asUnavailable(error, limited);
  }
}
