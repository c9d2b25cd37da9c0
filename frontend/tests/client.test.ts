import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { extendSession, getExport, getReports, getToday, logOut, openStream } from "../src/api/client";
import { forgetAnswers } from "../src/api/remembered";
import type { Failure } from "../src/api/failures";
import { reportJson, todayJson } from "./support/reports";

/** The client against a real server on loopback, in the place of the page's own origin. */
describe("the client", () => {
  let server: Server;
  let requests: { line: string; headers: IncomingMessage["headers"] }[];
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  const forever = new AbortController().signal;

  beforeEach(async () => {
    requests = [];
    server = createServer((request, response) => {
      requests.push({ line: `${request.method} ${request.url}`, headers: request.headers });
      answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    vi.stubGlobal("location", { origin });
    vi.stubGlobal("navigator", { language: "de-DE" });
  });

  afterEach(() => {
    forgetAnswers();
    vi.unstubAllGlobals();
    server.closeAllConnections();
    server.close();
  });

  const says = (status: number, body: unknown, headers: Record<string, string> = {}) => {
    answer = (_, response) => {
      response.writeHead(status, { "Content-Type": "application/json", ...headers });
      response.end(typeof body === "string" ? body : JSON.stringify(body));
    };
  };

  const failureOf = async (call: Promise<unknown>): Promise<Failure> => {
    const error: unknown = await call.then(
      () => null,
      (reason: unknown) => reason,
    );
    return (error as { failure: Failure }).failure;
  };

  it("sends the CSRF header with every request", async () => {
    says(200, todayJson(), { "Content-Type": "text/event-stream" });
    await getToday(null, forever);
    says(200, { logged_out: true, single_sign_on_ended: true }, { "Content-Type": "text/event-stream" });
    expect(await logOut(forever)).toBe(true);
    await (await openStream(null, "3:9", forever)).cancel();
    await getExport(null, "csv", { from: "2026-11-01", to: "2026-11-02" }, "ru", forever);
    says(200, { authenticated: false });
    await extendSession(forever);
    expect(requests.map(({ line }) => line)).toEqual([
      "GET /reports/today",
      "POST /auth/logout",
      "GET /reports/stream",
      "GET /reports/export.csv?from=2026-11-01&to=2026-11-02&decimal=comma",
      "POST /auth/session",
    ]);
    expect(requests.every(({ headers }) => headers["x-bionicpro-csrf"] === "1")).toBe(true);
    expect(requests[2]?.headers["last-event-id"]).toBe("3:9");
  });

  it("asks for the printed summary in the page's language", async () => {
    says(200, "%PDF");
    await getExport(null, "pdf", { from: "2026-11-01", to: "2026-11-02" }, "ru", forever);
    expect(requests[0]?.line).toBe("GET /reports/export.pdf?from=2026-11-01&to=2026-11-02&lang=ru");
  });

  it("follows pages to their end and marks what nobody asked for", async () => {
    answer = (request, response) => {
      const last = request.url?.includes("cursor=a%26b") ?? false;
      response.end(JSON.stringify({ items: [reportJson()], next_cursor: last ? null : "a&b" }));
    };
    expect(await getReports(null, { from: "2026-11-16", to: "2026-11-23" }, true, forever)).toHaveLength(2);
    expect(requests.map(({ line }) => line)).toEqual([
      "GET /reports?from=2026-11-16&to=2026-11-23&limit=100",
      "GET /reports?from=2026-11-16&to=2026-11-23&limit=100&cursor=a%26b",
    ]);
    expect(requests[1]?.headers["x-bionicpro-background"]).toBe("1");
  });

  it("is not sent again what it has, and learns how fresh that still is", async () => {
    answer = (request, response) => {
      const known = request.headers["if-none-match"] === 'W/"1"';
      response.writeHead(known ? 304 : 200, {
        ETag: 'W/"1"',
        "BionicPRO-As-Of": "2026-11-23T10:00:05Z",
        Date: "Mon, 23 Nov 2026 10:00:07 GMT",
      });
      response.end(known ? undefined : JSON.stringify(todayJson([{ events: 7 }])));
    };
    const first = await getToday(null, forever);
    expect(first.freshness_ms).toBe(250);
    const again = await getToday(null, forever);
    expect(again).toEqual({ ...first, as_of: Date.parse("2026-11-23T10:00:05Z"), freshness_ms: 2_000 });
    forgetAnswers();
    await getToday(null, forever);
    expect(requests.map(({ headers }) => headers["if-none-match"])).toEqual([undefined, 'W/"1"', undefined]);
  });

  it("asks for somebody else's reports at the support desk's addresses, and keeps them apart", async () => {
    says(200, todayJson(), { ETag: 'W/"1"' });
    await getToday(null, forever);
    await getToday("user-7", forever);
    await getReports("user-7", { from: "2026-11-16", to: "2026-11-23" }, false, forever).catch(() => null);
    expect(requests.map(({ line }) => line)).toEqual([
      "GET /reports/today",
      "GET /users/user-7/reports/today",
      "GET /users/user-7/reports?from=2026-11-16&to=2026-11-23&limit=100",
    ]);
    expect(requests[1]?.headers["if-none-match"]).toBeUndefined();
  });

  it("gives up on pages without an end", async () => {
    says(200, { items: [], next_cursor: "again" });
    const failure = await failureOf(
      getReports(null, { from: "2026-11-16", to: "2026-11-23" }, false, forever),
    );
    expect(failure.kind).toBe("unreadable");
    expect(requests).toHaveLength(20);
  });

  it.each([
    [401, {}, { kind: "session-ended" }],
    [503, { "Retry-After": "5" }, { kind: "unavailable", retryAfterMs: 5_000 }],
    [429, {}, { kind: "unavailable", retryAfterMs: null }],
    [403, {}, { kind: "refused", status: 403, problem: "no-reason" }],
  ])("takes status %d with %j for %j", async (status, headers, failure) => {
    says(status, { title: "No", type: "urn:bionicpro:problem:no-reason" }, headers);
    expect(await failureOf(getToday(null, forever))).toEqual(failure);
  });

  it("takes an answer that is no JSON, or breaks the contract, for unreadable", async () => {
    says(200, "<html>");
    expect((await failureOf(getToday(null, forever))).kind).toBe("unreadable");
    says(200, { items: 1 });
    expect(await failureOf(getToday(null, forever))).toEqual({
      kind: "unreadable",
      detail: "items: expected an array, found number",
    });
    expect((await failureOf(openStream(null, "", forever))).kind).toBe("unreadable");
  });

  it("takes a broken connection for an outage", async () => {
    answer = (_, response) => response.destroy();
    expect(await failureOf(getToday(null, forever))).toEqual({ kind: "unavailable", retryAfterMs: null });
  });

  it("does not take the caller's own abort for an outage", async () => {
    answer = () => undefined;
    const controller = new AbortController();
    const call = getToday(null, controller.signal);
    controller.abort();
    await expect(call).rejects.toMatchObject({ name: "AbortError" });
  });
});
