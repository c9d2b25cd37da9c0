// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";
import { ERROR_TEXTS, wholePage } from "./support/page";
import { HOUR, reportJson, summaryJson, todayJson } from "./support/reports";

describe("the page", () => {
  const page = wholePage();
  const { json, member, find, value, open, close, until } = page;

  it("offers login to whoever is not logged in, and asks for no report", async () => {
    page.routes = { "GET /auth/session": json({ authenticated: false }) };
    open();
    await until(() => find("login") !== null);
    expect(find("login")?.getAttribute("href")).toBe("/auth/login?return_to=%2F&lang=en");
    expect(find("logout")).toBeNull();
  });

  it("shows today's numbers exactly as the API tells them", async () => {
    open();
    await until(() => find("sentence")?.textContent.includes("usual") ?? false);
    expect(value("today-usage")).toBe(String((HOUR * 3) / 4));
    expect(find("announcer")?.textContent).toBe("");
    expect(value("today-efficiency")).toBe("0.9");
    expect(value("today-battery")).toBe("80");
    expect(value("today-errors")).toBe("3");
    expect(value("today-events")).toBe("1234");
    expect(find("today-events")?.textContent).toBe("1,234");
    expect(value("as-of")).toBe(String(Date.parse("2026-11-23T10:00:00Z")));
    expect(value("hour-chart")).toBe("24");
    expect(document.title).toBe("Today – BionicPRO Reports");
  });

  it("moves the numbers with the stream, in the days of the history as well", async () => {
    const event = `event: report\ndata: ${JSON.stringify(todayJson([{ hours: [7777], events: 5 }]))}\n\n`;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(event));
      },
    });
    page.routes["GET /reports/stream"] = () =>
      new Response(body, { headers: { "Content-Type": "text/event-stream" } });
    open();
    await until(() => value("today-usage") === "7777");
    expect(value("connection")).toBe("live");
    find("nav-history")?.click();
    await until(() => value("history-usage") === "7777");
    expect(document.querySelectorAll('[data-testid="history-row"]')).toHaveLength(7);
  });

  it("reads a new critical error out, in a region that was there before", async () => {
    let push: (shape: Parameters<typeof todayJson>[0]) => void = () => undefined;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        push = (shape) => {
          const data = JSON.stringify(todayJson(shape));
          controller.enqueue(new TextEncoder().encode(`event: report\ndata: ${data}\n\n`));
        };
      },
    });
    page.routes["GET /reports/stream"] = () =>
      new Response(body, { headers: { "Content-Type": "text/event-stream" } });
    open();
    await until(() => value("connection") === "live");
    const region = find("announcer");
    expect(region).not.toBeNull();
    push([{ errors: [3, 1] }]);
    push([{ errors: [4, 2], events: 9 }]);
    await until(() => value("today-events") === "9");
    await until(() => region?.textContent === "New critical error: Hand X2");
    expect(find("attention-line")?.dataset["kind"]).toBe("critical");
  });

  it("goes from page to page by addresses, and puts the focus on the heading", async () => {
    open();
    await until(() => find("today-usage") !== null);
    find("nav-more")?.click();
    await until(() => find("more") !== null);
    expect(document.title).toContain("More");
    expect(location.pathname).toBe("/more");
    await until(() => document.activeElement === find("title"));
    expect(find("nav-more")?.getAttribute("aria-current")).toBe("page");
    history.back();
    await until(() => document.title.startsWith("Today"));
    expect(document.activeElement).toBe(find("title"));
  });

  it("says so where there is no page at an address, and of what is not for the reader", async () => {
    history.replaceState(null, "", "/tomorrow");
    open();
    await until(() => find("unknown") !== null);
    close();
    history.replaceState(null, "", "/support/someone/today");
    open();
    await until(() => find("unknown") !== null);
  });

  it("shows a day of its own, and an error's days", async () => {
    history.replaceState(null, "", "/day/2026-11-22");
    open();
    await until(() => value("today-usage") === String(HOUR));
    expect(find("day-before")?.getAttribute("href")).toBe("/day/2026-11-21");
    expect(find("day-after")?.getAttribute("href")).toBe("/day/2026-11-23");
    find("day-after")?.click();
    await until(() => value("today-events") === "1234");
    expect(find("day-after")).toBeNull();
  });

  it("says of a day whether it was changed when a later one had data", async () => {
    const reports = (version: number) => ({
      items: [
        reportJson({ date: "2026-11-22", version: 5 }),
        reportJson({ date: "2026-11-21", version, hours: [HOUR] }),
      ],
      next_cursor: null,
    });
    page.routes["GET /reports"] = json(reports(6));
    history.replaceState(null, "", "/day/2026-11-21");
    open();
    await until(() => find("day-late") !== null);
    expect(find("day-late")?.textContent).toBe(
      "Some of this day’s data arrived late or was corrected, on November 22, 2026 or after.",
    );
    expect(document.querySelectorAll("[data-testid=today-usage]").length).toBe(1);
    close();
    page.routes["GET /reports"] = json(reports(4));
    open();
    await until(() => value("today-usage") === String(HOUR));
    expect(find("day-late")).toBeNull();
  });

  it("tells an error's code in words, and of an unknown one that it is unknown", async () => {
    page.routes["GET /reports/today"] = json(todayJson([{ codes: { GRIP: 2, constructor: 1 } }]));
    page.routes["GET /reports"] = json({ items: [reportJson({ codes: { GRIP: 3 } })], next_cursor: null });
    open();
    await until(() => document.querySelector(".codes")?.textContent.includes("The grip slipped") ?? false);
    expect(document.querySelector(".codes")?.textContent).toContain("Code constructor");
    document.querySelector<HTMLElement>(".codes a")?.click();
    await until(() => find("meaning")?.textContent.includes("The grip slipped: meaning") ?? false);
    await until(() => value("error-count") === "3");
    expect(location.pathname).toBe("/errors/GRIP");
  });

  it("keeps what it has, with its time, when a period cannot be loaded anew", async () => {
    history.replaceState(null, "", "/history");
    open();
    await until(() => find("history-row") !== null);
    page.routes["GET /reports"] = json({}, 503);
    window.dispatchEvent(new Event("online"));
    await until(() => find("notice")?.textContent.includes("could not be loaded anew") ?? false);
    expect(find("history-row")).not.toBeNull();
  });

  it("says what to do where a period cannot be loaded at all", async () => {
    history.replaceState(null, "", "/history");
    const good = page.routes["GET /reports"];
    page.routes["GET /reports"] = json({}, 503);
    open();
    await until(() => find("failed") !== null);
    if (good !== undefined) page.routes["GET /reports"] = good;
    find("retry")?.click();
    await until(() => find("history-row") !== null);
  });

  it("says so where there are no events yet", async () => {
    page.routes["GET /reports/today"] = json(todayJson([], null));
    open();
    await until(() => find("today-empty") !== null);
    expect(find("as-of")?.textContent).toContain("no data yet");
  });

  it("forgets the numbers and offers login when the session has ended", async () => {
    page.routes["GET /reports/stream"] = json({ title: "login required" }, 401);
    open();
    await until(() => find("login") !== null);
    expect(document.body.textContent).toContain("Your session has ended");
    expect(find("today-usage")).toBeNull();
  });

  it("keeps the person logged in, and says so, when logging out fails", async () => {
    page.routes["POST /auth/logout"] = json({}, 503);
    open();
    await until(() => find("today-usage") !== null);
    find("logout")?.click();
    await until(() => document.body.textContent.includes("you are still logged in"));
    find("dismiss")?.click();
    await until(() => find("notice") === null);
    expect(find("announcer")?.textContent).toBe("");
    expect(document.activeElement?.id).toBe("main");
    page.routes["POST /auth/logout"] = json({ logged_out: true, single_sign_on_ended: true });
    find("logout")?.click();
    await until(() => document.body.textContent.includes("You are logged out"));
    expect(find("today-usage")).toBeNull();
    await until(() => document.activeElement?.tagName === "H1");
    await until(() => find("announcer")?.textContent === "You are logged out.");
  });

  it("offers to stay before the idle end, and to log in again before the absolute one", async () => {
    const at = (ms: number) => new Date(Date.now() + ms).toISOString();
    const ends = { ...member, expires_at: at(600_000), idle_expires_at: at(60_000) };
    page.routes["GET /auth/session"] = json(ends);
    page.routes["POST /auth/session"] = json({
      ...ends,
      expires_at: at(90_000),
      idle_expires_at: at(90_000),
    });
    open();
    await until(() => find("stay") !== null);
    find("stay")?.click();
    expect(document.activeElement?.id).toBe("main");
    await until(() => find("stay") === null && find("login-again") !== null);
  });

  it("shows a period's figures as the service defines them, and asks for one prosthesis where one is chosen", async () => {
    const asked: string[] = [];
    page.routes["GET /reports/summary"] = (request) => {
      asked.push(new URL(request.url).search);
      return new Response(JSON.stringify(summaryJson()));
    };
    page.routes["GET /reports/today"] = json(todayJson([{}, { prosthesis: "18" }]));
    history.replaceState(null, "", "/history");
    open();
    await until(() => find("figures") !== null);
    const figures = find("figures")?.textContent ?? "";
    for (const shown of [
      "1 h 30 min",
      "10% more than in the period before",
      "93%",
      "2 pts less",
      "0.5 a day more",
      "5 of 7",
      "4 complete",
    ])
      expect(figures).toContain(shown);
    document.querySelector<HTMLElement>('[data-testid="chip"]')?.click();
    await until(() => asked.length === 2);
    expect(asked).toEqual([
      "?from=2026-11-17&to=2026-11-23",
      "?from=2026-11-17&to=2026-11-23&prosthesis_id=17",
    ]);
  });

  it("names whom to call where the company says so, and says so where it does not", async () => {
    page.routes["GET /reports/error-texts"] = json({
      ...ERROR_TEXTS,
      contact: { who: "The clinic", phone: "+49 (30) 12-34", mail: null, hours: "Mo" },
    });
    history.replaceState(null, "", "/errors/GRIP");
    open();
    await until(() => find("contact") !== null);
    expect(find("contact")?.querySelector("a")?.getAttribute("href")).toBe("tel:+49301234");
    expect(find("contact")?.textContent).toContain("Mo");
    find("nav-more")?.click();
    await until(() => find("help")?.textContent.includes("The clinic") ?? false);
    close();
    page.routes["GET /reports/error-texts"] = json(ERROR_TEXTS);
    open();
    await until(() => find("no-contact") !== null);
  });

  it("says why a page that needs today's numbers has none, and tries again when asked", async () => {
    page.routes["GET /reports/today"] = json({}, 503);
    history.replaceState(null, "", "/history");
    open();
    await until(() => find("failed") !== null);
    page.routes["GET /reports/today"] = json(todayJson());
    find("retry")?.focus();
    find("retry")?.click();
    await until(() => find("history-row") !== null);
    expect(document.activeElement).toBe(find("title"));
  });

  it("changes the language of everything, and remembers it", async () => {
    open();
    await until(() => find("today-usage") !== null);
    find("language-ru")?.click();
    await until(() => document.documentElement.lang === "ru");
    expect(document.querySelector("h1")?.textContent).toBe("Сегодня");
    expect(find("logout")?.textContent).toBe("Выйти");
    expect(localStorage.getItem("bionicpro.language")).toBe("ru");
  });

  it("says that the service is down and comes back by itself", async () => {
    const good = json(todayJson());
    page.routes["GET /reports/today"] = json({}, 503);
    open();
    await until(() => value("connection") === "down");
    expect(document.body.textContent).toContain("Trying again by itself");
    page.routes["GET /reports/today"] = good;
    await until(() => find("today-usage") !== null);
  });

  it("writes no inline style, which the content security policy would refuse", async () => {
    open();
    await until(() => find("today-usage") !== null);
    find("nav-history")?.click();
    await until(() => find("history-row") !== null);
    expect(document.querySelectorAll("[style], style, script")).toHaveLength(0);
  });
});
