import { describe, expect, it } from "vitest";
import { type Place, addressOf, placeOf } from "../src/router/routes";

const PLACES: [string, Place][] = [
  ["/today", { subject: null, route: { page: "today", prosthesis: null } }],
  ["/today?prosthesis=17", { subject: null, route: { page: "today", prosthesis: "17" } }],
  [
    "/history?range=30",
    { subject: null, route: { page: "history", period: { days: 30 }, prosthesis: null } },
  ],
  [
    "/history?range=2026-11-01..2026-11-24&prosthesis=17",
    {
      subject: null,
      route: { page: "history", period: { from: "2026-11-01", to: "2026-11-24" }, prosthesis: "17" },
    },
  ],
  ["/day/2026-11-24", { subject: null, route: { page: "day", day: "2026-11-24", prosthesis: null } }],
  ["/errors/GRIP_TIMEOUT", { subject: null, route: { page: "error", code: "GRIP_TIMEOUT" } }],
  ["/export", { subject: null, route: { page: "export" } }],
  ["/more", { subject: null, route: { page: "more" } }],
  ["/support", { subject: null, route: { page: "support" } }],
  [
    "/support/0b8f-7/day/2026-11-24?prosthesis=17",
    { subject: "0b8f-7", route: { page: "day", day: "2026-11-24", prosthesis: "17" } },
  ],
];

describe("the addresses", () => {
  it.each(PLACES)("%s is one place, both ways", (address, place) => {
    expect(placeOf(address)).toEqual(place);
    expect(addressOf(place)).toBe(address);
  });

  it("without a word about it are of today and of the last seven days", () => {
    expect(placeOf("/").route).toEqual({ page: "today", prosthesis: null });
    expect(placeOf("/history").route).toMatchObject({ period: { days: 7 } });
  });

  it.each([
    "/tomorrow",
    "/day/2026-02-30",
    "/day/yesterday",
    "/history?range=8",
    "/history?range=2026-11-02..2026-11-01",
    "/history?range=2025-11-01..2026-11-02",
    "/errors/",
    "/errors/%3Cscript%3E",
    "/support/0b8f/more",
    "/support/0b8f/support",
    "/support/0b8f/",
    "/support/../today/more",
  ])("%s is none", (address) => {
    expect(placeOf(address).route).toEqual({ page: "unknown" });
  });

  it("never lead off the site, nor among the API's own", () => {
    for (const [, place] of PLACES) expect(addressOf(place)).not.toMatch(/^\/\/|^\/(reports|users|auth)/);
  });
});
