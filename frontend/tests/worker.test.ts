import { describe, expect, it } from "vitest";
import { type ShellPorts, answer, kindOf } from "../src/worker/shell";

const ORIGIN = "https://page.test";
const asked = (path: string, init: RequestInit = {}) => new Request(ORIGIN + path, init);
// A page's own code cannot make a request of this mode.
const visit = (path: string) => Object.defineProperty(asked(path), "mode", { value: "navigate" });

describe("the service worker", () => {
  it.each(["/", "/today", "/support/0b8f/history", "/export", "/support"])(
    "answers a visit to %s",
    (path) => {
      expect(kindOf(visit(path), ORIGIN)).toBe("page");
    },
  );

  it.each([
    "/reports",
    "/reports/today",
    "/users/7/reports",
    "/auth/login",
    "/auth/session",
    "/support/search",
  ])("leaves %s to the network, whoever asks and however", (path) => {
    expect(kindOf(visit(path), ORIGIN)).toBeNull();
    expect(kindOf(asked(path), ORIGIN)).toBeNull();
  });

  it("leaves other sites and other methods alone", () => {
    expect(kindOf(new Request("https://other.test/assets/a.js"), ORIGIN)).toBeNull();
    expect(kindOf(asked("/assets/a.js", { method: "POST" }), ORIGIN)).toBeNull();
    expect(kindOf(asked("/assets/a.js"), ORIGIN)).toBe("file");
    expect(kindOf(asked("/favicon.svg"), ORIGIN)).toBeNull();
  });

  const portsOf = (kept: Record<string, string>, network: (() => Response) | null): ShellPorts => ({
    origin: ORIGIN,
    fetch: () => (network === null ? Promise.reject(new TypeError("offline")) : Promise.resolve(network())),
    match: (address) => Promise.resolve(address in kept ? new Response(kept[address]) : undefined),
    put: async (address, response) => {
      kept[address] = await response.text();
    },
  });
  const textOf = async (response: Promise<Response>) => (await response).text();

  const basic = (text: string, type: string) => () =>
    Object.defineProperty(new Response(text, { headers: { "Content-Type": type } }), "type", {
      value: "basic",
    });

  it("shows the newest page where there is a network, and the kept one where there is none", async () => {
    const kept = { "/": "old" };
    const fresh = basic("new", "text/html; charset=utf-8");
    expect(await textOf(answer(visit("/today"), "page", portsOf(kept, fresh)))).toBe("new");
    expect(await textOf(answer(visit("/history"), "page", portsOf(kept, null)))).toBe("new");
  });

  it("does not keep a page that says that something is wrong, nor what is no page", async () => {
    const kept = { "/": "old" };
    await answer(
      visit("/today"),
      "page",
      portsOf(kept, () => new Response("down", { status: 503 })),
    );
    await answer(visit("/favicon.svg"), "page", portsOf(kept, basic("<svg/>", "image/svg+xml")));
    expect(kept["/"]).toBe("old");
  });

  it("takes a file of the build from what is kept, else from the network", async () => {
    const ports = portsOf({ "/assets/a.js": "kept" }, () => new Response("network"));
    expect(await textOf(answer(asked("/assets/a.js"), "file", ports))).toBe("kept");
    expect(await textOf(answer(asked("/assets/b.js"), "file", ports))).toBe("network");
  });
});
