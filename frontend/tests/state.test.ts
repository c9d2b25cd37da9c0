import { describe, expect, it } from "vitest";
import { decodeToday } from "../src/api/contract";
import { retryAfter } from "../src/api/failures";
import {
  INITIAL_SESSION,
  type Member,
  activityDue,
  endingOf,
  helps,
  reduceSession,
  wears,
} from "../src/domain/session";
import { LONGEST_MS, SHORTEST_MS, delayAfter } from "../src/live/backoff";
import { INITIAL_LIVE, ageOf, causeOf, reduceLive } from "../src/live/state";
import { todayJson } from "./support/reports";

const today = decodeToday(todayJson());
const shown = reduceLive(INITIAL_LIVE, { type: "today", today, receivedAt: 1_000 });
const outage = { kind: "unavailable", retryAfterMs: null } as const;

describe("the live state", () => {
  it("keeps the numbers through an outage", () => {
    const down = reduceLive(shown, { type: "down", failure: outage });
    expect(down).toMatchObject({ connection: "down", failure: outage, snapshot: shown.snapshot });
  });

  it("forgets the failure with the next numbers", () => {
    const down = reduceLive(shown, { type: "down", failure: outage });
    const again = reduceLive(down, { type: "today", today, receivedAt: 2_000 });
    expect(again).toMatchObject({ connection: "reconnecting", failure: null });
  });

  it("calls it polling only where the server answers without a stream", () => {
    const live = reduceLive(shown, { type: "streaming" });
    expect(reduceLive(live, { type: "stream-lost" }).connection).toBe("reconnecting");
    expect(reduceLive(live, { type: "stream-refused" }).connection).toBe("polling");
  });

  it("is offline from the browser's word until something arrives", () => {
    const offline = reduceLive(reduceLive(shown, { type: "streaming" }), { type: "offline" });
    expect(offline.connection).toBe("offline");
    expect(reduceLive(offline, { type: "stream-lost" })).toBe(offline);
    expect(reduceLive(offline, { type: "down", failure: outage })).toBe(offline);
    expect(reduceLive(offline, { type: "online" }).connection).toBe("reconnecting");
    expect(reduceLive(offline, { type: "streaming" }).connection).toBe("live");
  });

  it("does not go back to yesterday", () => {
    const yesterday = { ...today, report_date: "2026-11-22" };
    expect(reduceLive(shown, { type: "today", today: yesterday, receivedAt: 2_000 })).toBe(shown);
  });

  it("takes freshness from a heartbeat and leaves the numbers", () => {
    const freshness = { as_of: (today.as_of ?? 0) + 5_000, freshness_ms: 100 };
    const fresh = reduceLive(shown, { type: "fresh", freshness, receivedAt: 6_000 });
    expect(fresh.snapshot?.today).toEqual({ ...today, ...freshness });
    expect(fresh.snapshot?.receivedAt).toBe(6_000);
  });

  it("does not know a freshness before the first numbers", () => {
    const freshness = { as_of: 1, freshness_ms: 1 };
    expect(reduceLive(INITIAL_LIVE, { type: "fresh", freshness, receivedAt: 1 })).toBe(INITIAL_LIVE);
  });

  it("ages by the page's own clock from what the server said", () => {
    expect(ageOf({ today, receivedAt: 1_000 }, 4_000)).toBe(3_250);
    expect(ageOf({ today, receivedAt: 1_000 }, 0)).toBe(250);
    expect(ageOf({ today: { ...today, as_of: null }, receivedAt: 0 }, 1)).toBeNull();
  });
});

describe("the cause of old numbers", () => {
  const late = { ...today, freshness_ms: 31_000 };
  const live = reduceLive(shown, { type: "streaming" });

  it("is none while fresh numbers come, however they come", () => {
    expect(causeOf(live)).toBeNull();
    expect(causeOf(reduceLive(live, { type: "stream-refused" }))).toBeNull();
    expect(causeOf(INITIAL_LIVE)).toBeNull();
  });

  it("is late data only where the server itself said so", () => {
    const told = reduceLive(live, { type: "today", today: late, receivedAt: 2_000 });
    expect(causeOf(told)).toEqual({ kind: "late", ms: 31_000 });
  });

  it("is a silent server, and not late data as well, once the stream fell silent", () => {
    const told = reduceLive(live, { type: "today", today: late, receivedAt: 2_000 });
    const lost = reduceLive(told, { type: "stream-lost" });
    expect(causeOf(lost)).toEqual({ kind: "no-answer" });
    expect(causeOf(reduceLive(lost, { type: "down", failure: outage }))).toEqual({ kind: "no-answer" });
    expect(causeOf(reduceLive(lost, { type: "offline" }))).toEqual({ kind: "offline" });
  });

  it("is what the server said where it refused", () => {
    const refused = { kind: "refused", status: 403, problem: "" } as const;
    expect(causeOf(reduceLive(live, { type: "down", failure: refused }))).toEqual({
      kind: "refused",
      status: 403,
    });
  });
});

describe("the session state", () => {
  const member: Member = { status: "in", name: "Anna", roles: ["wearer"], endsAt: null, idleEndsAt: null };
  const nobody = { type: "answer", session: { authenticated: false } } as const;

  it("offers login without a word to whoever was never logged in", () => {
    expect(reduceSession(INITIAL_SESSION, nobody)).toEqual({ status: "out", reason: "never" });
  });

  it("says that a session ended, however that is found out", () => {
    expect(reduceSession(member, nobody)).toEqual({ status: "out", reason: "ended" });
    expect(reduceSession(member, { type: "ended" })).toEqual({ status: "out", reason: "ended" });
  });

  it("does not call a logout an ended session afterwards", () => {
    const out = reduceSession(member, { type: "logged-out", everywhere: true });
    expect(reduceSession(out, nobody)).toEqual({ status: "out", reason: "logged-out" });
  });

  it("keeps a member's page while the session cannot be asked for", () => {
    expect(reduceSession(member, { type: "unavailable" })).toBe(member);
    expect(reduceSession(INITIAL_SESSION, { type: "unavailable" })).toMatchObject({ unavailable: true });
  });

  it("does not call somebody logged out whose login server does not know", () => {
    const out = reduceSession(member, { type: "logged-out", everywhere: false });
    expect(out).toEqual({ status: "out", reason: "logged-out-here" });
  });

  it.each([
    [null, null, null],
    [null, 120_001, null],
    [600_000, 120_000, { at: 120_000, canStay: true }],
    // Staying moves the idle end only, and never beyond the absolute one.
    [120_000, 120_000, { at: 120_000, canStay: false }],
    [90_000, null, { at: 90_000, canStay: false }],
  ])(
    "warns two minutes before the end (%j, idle %j) and offers to stay where that helps",
    (end, idle, told) => {
      expect(endingOf({ ...member, endsAt: end, idleEndsAt: idle }, 0)).toEqual(told);
    },
  );

  it("tells at most once a minute that the person is there", () => {
    expect(activityDue(null, 0)).toBe(true);
    expect(activityDue(0, 59_999)).toBe(false);
    expect(activityDue(0, 60_000)).toBe(true);
  });

  it("knows who has reports of their own, and who may look at others'", () => {
    const of = (roles: string[]) => [wears(roles), helps(roles)];
    expect([of(["support"]), of(["support", "wearer"]), of([])]).toEqual([
      [false, true],
      [true, true],
      [true, false],
    ]);
  });
});

describe("the back-off", () => {
  it("doubles from the shortest to the longest and stays there", () => {
    const delays = [1, 2, 3, 4, 5, 6, 1_000].map((failures) => delayAfter(failures, null, 0));
    expect(delays).toEqual([SHORTEST_MS, 2_000, 4_000, 8_000, LONGEST_MS, LONGEST_MS, LONGEST_MS]);
  });

  it("takes off at most two fifths by chance", () => {
    expect(delayAfter(1, null, 1)).toBe(600);
  });

  it("is never shorter than the server's wish", () => {
    expect(delayAfter(1, 30_000, 1)).toBe(30_000);
  });
});

describe("Retry-After", () => {
  const now = Date.parse("2026-11-23T10:00:00Z");

  it.each([
    [null, null],
    ["3", 3_000],
    [" 0 ", 0],
    ["Mon, 23 Nov 2026 10:00:07 GMT", 7_000],
    ["Mon, 23 Nov 2026 09:00:00 GMT", 0],
    ["99999", 120_000],
    ["soon", null],
  ])("%j means %j ms", (header, expected) => {
    expect(retryAfter(header, now)).toBe(expected);
  });
});
