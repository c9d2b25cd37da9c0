import { type Root, createRoot } from "react-dom/client";
import { afterEach, beforeEach, expect, vi } from "vitest";
import { App } from "../../src/App";
import { Announcer } from "../../src/components/Announcer";
import { LanguageProvider } from "../../src/i18n/LanguageContext";
import { HOUR, reportJson, summaryJson, todayJson } from "./reports";

const text = (title: string) => ({ title, meaning: `${title}: meaning`, action: "do", call: "call" });
export const ERROR_TEXTS = {
  language: "en",
  texts: { GRIP: text("The grip slipped") },
  unknown: text("Code {code}"),
  contact: null,
};

type Route = (request: Request) => Response;

/** The whole page in a document, with the API's answers given by path in `routes`. To be called once in a `describe`. */
export function wholePage() {
  const page = { routes: {} as Record<string, Route> };
  let root: Root;
  let host: HTMLElement;

  const json =
    (body: unknown, status = 200): Route =>
    () =>
      new Response(JSON.stringify(body), { status });
  const member = { authenticated: true, name: "Anna", roles: ["wearer"] };
  const openStream: Route = () =>
    new Response(new ReadableStream(), { headers: { "Content-Type": "text/event-stream" } });

  beforeEach(() => {
    vi.spyOn(console, "error");
    localStorage.clear();
    history.replaceState(null, "", "/");
    page.routes = {
      "GET /auth/session": json(member),
      "GET /reports/today": json(todayJson([{ hours: [HOUR / 2, HOUR / 4], events: 1234, errors: [3, 1] }])),
      "GET /reports/stream": openStream,
      "GET /reports/error-texts": json(ERROR_TEXTS),
      "GET /reports/summary": json(summaryJson()),
      "GET /reports": json({ items: [reportJson({ date: "2026-11-22", hours: [HOUR] })], next_cursor: null }),
    };
    vi.stubGlobal("fetch", (request: Request) => {
      const route = page.routes[`${request.method} ${new URL(request.url).pathname}`];
      return Promise.resolve(route?.(request) ?? new Response("", { status: 404 }));
    });
    host = document.createElement("div");
    document.body.replaceChildren(host);
  });

  afterEach(() => {
    root.unmount();
    vi.unstubAllGlobals();
    expect(console.error).not.toHaveBeenCalled();
    vi.restoreAllMocks();
  });

  const find = (id: string) => document.querySelector<HTMLElement>(`[data-testid="${id}"]`);
  const value = (id: string) => find(id)?.dataset["value"];

  const open = () => {
    root = createRoot(host);
    root.render(
      <LanguageProvider>
        <Announcer>
          <App />
        </Announcer>
      </LanguageProvider>,
    );
  };

  const close = () => {
    root.unmount();
  };

  /** As a person types: React listens to what the browser's own setter tells. */
  const write = (id: string, text: string) => {
    const field = find(id) as HTMLInputElement;
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set?.call(field, text);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };

  const until = (holds: () => boolean) =>
    vi.waitFor(
      () => {
        expect(holds(), document.body.textContent).toBe(true);
      },
      { timeout: 5_000 },
    );

  return Object.assign(page, { json, member, openStream, find, value, open, close, write, until });
}
