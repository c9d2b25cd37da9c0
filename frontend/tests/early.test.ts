import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { getSession, getToday } from "../src/api/client";
import { answeredEarly, askEarly, forgetEarly } from "../src/api/early";
import { forgetAnswers } from "../src/api/remembered";
import { todayJson } from "./support/reports";

/** What is asked early, against a real server on loopback in the place of the page's own origin. */
describe("what is asked early", () => {
  let server: Server;
  let requests: string[];
  let answers: Record<string, [number, unknown]>;
  let origin: string;
  const forever = new AbortController().signal;
  const session = {
    authenticated: true,
    name: "A",
    roles: ["wearer"],
    expires_at: null,
    idle_expires_at: null,
  };

  beforeEach(async () => {
    requests = [];
    answers = { "/auth/session": [200, session], "/reports/today": [200, todayJson()] };
    server = createServer((request: IncomingMessage, response: ServerResponse) => {
      requests.push(`${request.method} ${request.url} ${String(request.headers["x-bionicpro-csrf"])}`);
      const [status, body] = answers[request.url ?? ""] ?? [404, {}];
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    at("/");
    const { fetch } = globalThis;
    vi.stubGlobal("fetch", (asked: Request | string, options?: RequestInit) =>
      fetch(typeof asked === "string" ? new URL(asked, origin) : asked, options),
    );
  });

  afterEach(() => {
    forgetAnswers();
    forgetEarly();
    vi.unstubAllGlobals();
    server.closeAllConnections();
    server.close();
  });

  const at = (pathname: string) => {
    vi.stubGlobal("location", { origin, pathname });
  };

  it("is not asked again by the client, but once", async () => {
    askEarly();
    expect((await getSession(forever)).authenticated).toBe(true);
    expect((await getToday(null, forever)).items).toHaveLength(1);
    expect(requests).toEqual(["GET /auth/session 1", "GET /reports/today 1"]);
    await getSession(forever);
    await getToday(null, forever);
    expect(requests).toHaveLength(4);
  });

  it.each([
    ["nobody is logged in", "/", { ...session, authenticated: false, roles: [] }],
    ["it is the support desk", "/", { ...session, roles: ["support"] }],
    ["somebody else's reports are looked at", "/support/u/today", session],
    ["the search is", "/support", session],
  ])("is not today's report where %s", async (_, pathname, said) => {
    at(pathname);
    answers["/auth/session"] = [200, said];
    askEarly();
    await answeredEarly();
    expect(requests).toEqual(["GET /auth/session 1"]);
  });

  it("is asked anew where it failed, so that the client sees what is wrong", async () => {
    answers["/auth/session"] = [503, {}];
    askEarly();
    await answeredEarly();
    answers["/auth/session"] = [200, session];
    expect((await getSession(forever)).authenticated).toBe(true);
    expect(requests).toHaveLength(2);
  });

  it("is asked anew where it has waited so long that it would pass for fresher than it is", async () => {
    askEarly();
    await answeredEarly();
    const later = performance.now() + 10_001;
    vi.spyOn(performance, "now").mockReturnValue(later);
    await getToday(null, forever);
    expect(requests.filter((line) => line.includes("today"))).toHaveLength(2);
    vi.restoreAllMocks();
  });

  it("is not told to somebody who no longer wants it", async () => {
    askEarly();
    await answeredEarly();
    await expect(getToday(null, AbortSignal.abort())).rejects.toThrow();
  });

  it("is forgotten with the session", async () => {
    askEarly();
    await answeredEarly();
    forgetEarly();
    await getToday(null, forever);
    expect(requests).toHaveLength(3);
  });
});
