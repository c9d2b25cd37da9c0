/** Calls to the BFF. Every call carries the CSRF header and has a deadline; failures are ApiErrors. */

import createClient from "openapi-fetch";
import { type Language, decimalOf } from "../domain/format";
import {
  type ErrorTexts,
  type ErrorTimes,
  type Page,
  type Prosthesis,
  type Session,
  type Summary,
  type Today,
  type TypicalDay,
  decodeErrorTexts,
  decodeErrorTimes,
  decodeLogOut,
  decodePage,
  decodeProstheses,
  decodeSession,
  decodeSummary,
  decodeToday,
  decodeTypicalDay,
} from "./contract";
import { ContractError } from "./decode";
import { CSRF, DEADLINE_MS, takeEarly } from "./early";
import { ApiError, failureOf } from "./failures";
import type { paths } from "./openapi";
import { conditional, freshnessOf, recalled, remember } from "./remembered";

/** Where logging in begins, in the page's language; it ends at `address`, a page of this site. */
export function loginUrl(address: string, language: Language): string {
  return `/auth/login?return_to=${encodeURIComponent(address)}&lang=${language}`;
}

/** The login server's own pages: password, passkeys, sessions of other devices. */
export const ACCOUNT_URL = "/auth/account";

/** Whose reports: the reader's own (null), or those of the user that somebody of the support desk looks at. */
export type Subject = string | null;

/** Marks what the page does by itself, so that it does not keep an idle session alive. */
const BACKGROUND = { "X-BionicPRO-Background": "1" };
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

/**
 * The client, its paths, parameters and answers typed by the API's own description. Below `/users/ID` there are the
 * same addresses for the support desk.
 */
export function api(subject: Subject = null) {
  return createClient<paths>({
    baseUrl: subject === null ? location.origin : `${location.origin}/users/${encodeURIComponent(subject)}`,
    headers: CSRF,
    cache: "no-store",
    redirect: "error",
    fetch: send,
  });
}

async function send(request: Request): Promise<Response> {
  let response: Response;
  try {
    response = (await takeEarly(request)) ?? (await fetch(request));
    request.signal.throwIfAborted();
  } catch (error) {
    throw asUnavailable(error, request.signal);
  }
  if (!response.ok && response.status !== 304) throw new ApiError(await failureOf(response, Date.now()));
  return response;
}

/** The caller's own abort stays what it is; a lost connection or a passed deadline is an outage. */
function asUnavailable(error: unknown, signal: AbortSignal): unknown {
  const cause: unknown = signal.reason;
  const timedOut = cause instanceof DOMException && cause.name === "TimeoutError";
  if (signal.aborted && !timedOut) return error;
  return new ApiError({ kind: "unavailable", retryAfterMs: null });
}

function within(ms: number, signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ms)]);
}

/** The checked value of an answer; `ask` makes the request with the signal that holds the deadline. */
export async function read<T>(
  ask: (signal: AbortSignal) => Promise<{ response: Response }>,
  decode: (value: unknown) => T,
  signal: AbortSignal,
): Promise<T> {
  const limited = within(DEADLINE_MS, signal);
  const { response } = await ask(limited);
  return checked(response, decode, limited);
}

async function checked<T>(
  response: Response,
  decode: (value: unknown) => T,
  signal: AbortSignal,
): Promise<T> {
  try {
    return decode(await response.json());
  } catch (error) {
    if (error instanceof ContractError || error instanceof SyntaxError) {
      throw new ApiError({ kind: "unreadable", detail: error.message });
    }
    throw asUnavailable(error, signal);
  }
}

export function getSession(signal: AbortSignal): Promise<Session> {
  return read((limited) => api().GET("/auth/session", { ...RAW, signal: limited }), decodeSession, signal);
}

/** Extends the session: the person said that they are still there. */
export function extendSession(signal: AbortSignal): Promise<Session> {
  return read((limited) => api().POST("/auth/session", { ...RAW, signal: limited }), decodeSession, signal);
}

/** Ends the session here; false where the login server could not be told, so that its own session may go on. */
export function logOut(signal: AbortSignal): Promise<boolean> {
  return read((limited) => api().POST("/auth/logout", { ...RAW, signal: limited }), decodeLogOut, signal);
}

/** The body is left to the caller, who checks it or hands it on. */
export const RAW = { parseAs: "stream" } as const;

/** As `read`, but what did not change since the last time is not sent again: `kept` makes it what it is now. */
async function readAgain<T>(
  address: string,
  ask: (signal: AbortSignal, headers: Record<string, string>) => Promise<{ response: Response }>,
  decode: (value: unknown) => T,
  kept: (value: T, headers: Headers) => T,
  signal: AbortSignal,
): Promise<T> {
  const limited = within(DEADLINE_MS, signal);
  const { response } = await ask(limited, conditional(address));
  if (response.status === 304) {
    const value = recalled(address);
    if (value === undefined) throw new ApiError({ kind: "unreadable", detail: "304 without a question" });
    return kept(value as T, response.headers);
  }
  const value = await checked(response, decode, limited);
  remember(address, response, value);
  return value;
}

export function getToday(subject: Subject, signal: AbortSignal): Promise<Today> {
  return readAgain(
    JSON.stringify(["today", subject]),
    (limited, headers) => api(subject).GET("/reports/today", { ...RAW, headers, signal: limited }),
    decodeToday,
    (today, headers) => ({ ...today, ...freshnessOf(headers) }),
    signal,
  );
}

/** All days of the range, the pages followed to their end; `background` where no person asked for them. */
export async function getReports(
  subject: Subject,
  range: DateRange,
  background: boolean,
  signal: AbortSignal,
): Promise<Page["items"]> {
  const marks = background ? BACKGROUND : {};
  const items: Page["items"] = [];
  let cursor: string | null = null;
  for (let pages = 0; pages < MOST_PAGES; pages += 1) {
    const query = { ...range, limit: PAGE_SIZE, ...(cursor === null ? {} : { cursor }) };
    const ask = (limited: AbortSignal, headers: Record<string, string>) =>
      api(subject).GET("/reports", {
        ...RAW,
        params: { query },
        headers: { ...headers, ...marks },
        signal: limited,
      });
    const page: Page = await readAgain(
      JSON.stringify(["reports", subject, query]),
      ask,
      decodePage,
      (same) => same,
      signal,
    );
    items.push(...page.items);
    cursor = page.next_cursor;
    if (cursor === null) return items;
  }
  throw new ApiError({ kind: "unreadable", detail: `more than ${MOST_PAGES} pages` });
}

/** The period's figures, as the service defines them (docs/metrics.md), against the period before. */
export function getSummary(
  subject: Subject,
  query: DateRange & { prosthesis_id?: string },
  signal: AbortSignal,
): Promise<Summary> {
  const ask = (limited: AbortSignal) =>
    api(subject).GET("/reports/summary", { ...RAW, params: { query }, signal: limited });
  return read(ask, decodeSummary, signal);
}

export function getTypicalDay(
  subject: Subject,
  query: DateRange & { prosthesis_id?: string },
  signal: AbortSignal,
): Promise<TypicalDay> {
  const ask = (limited: AbortSignal) =>
    api(subject).GET("/reports/typical-day", { ...RAW, params: { query }, signal: limited });
  return read(ask, decodeTypicalDay, signal);
}

export function getErrorTimes(subject: Subject, day: string, signal: AbortSignal): Promise<ErrorTimes> {
  const ask = (limited: AbortSignal) =>
    api(subject).GET("/reports/errors/{day}", { ...RAW, params: { path: { day } }, signal: limited });
  return read(ask, decodeErrorTimes, signal);
}

/** What error codes mean, in words; nobody's in particular. */
export function getErrorTexts(lang: Language, signal: AbortSignal): Promise<ErrorTexts> {
  const ask = (limited: AbortSignal) =>
    api().GET("/reports/error-texts", { ...RAW, params: { query: { lang } }, signal: limited });
  return read(ask, decodeErrorTexts, signal);
}

export function getProstheses(subject: Subject, signal: AbortSignal): Promise<Prosthesis[]> {
  const ask = (limited: AbortSignal) => api(subject).GET("/reports/prostheses", { ...RAW, signal: limited });
  return read(ask, decodeProstheses, signal);
}

/**
 * Opens the stream of reports; `signal` ends it. The deadline covers only the answer's head, since the body
 * stays open.
 */
export async function openStream(
  subject: Subject,
  lastEventId: string,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const deadline = new AbortController();
  const timer = setTimeout(() => {
    deadline.abort(new DOMException("no answer in time", "TimeoutError"));
  }, DEADLINE_MS);
  const last = lastEventId === "" ? {} : { "Last-Event-ID": lastEventId };
  try {
    const { response } = await api(subject).GET("/reports/stream", {
      ...RAW,
      headers: { Accept: "text/event-stream", ...last },
      signal: AbortSignal.any([signal, deadline.signal]),
    });
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
  subject: Subject,
  format: ExportFormat,
  range: DateRange & { prosthesis_id?: string },
  language: Language,
  signal: AbortSignal,
): Promise<Blob> {
  const limited = within(EXPORT_DEADLINE_MS, signal);
  const asked = { ...RAW, signal: limited };
  // The printed summary has the page's language; the table is written as the reader's spreadsheet reads numbers.
  const { response } =
    format === "csv"
      ? await api(subject).GET("/reports/export.csv", {
          ...asked,
          params: { query: { ...range, decimal: decimalOf(navigator.language) } },
        })
      : await api(subject).GET("/reports/export.pdf", {
          ...asked,
          params: { query: { from: range.from, to: range.to, lang: language } },
        });
  try {
    return await response.blob();
  } catch (error) {
    throw asUnavailable(error, limited);
  }
}
