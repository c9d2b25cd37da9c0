// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";
import { wholePage } from "./support/page";

describe("the support desk", () => {
  const page = wholePage();
  const { json, member, openStream, find, open, write, until } = page;

  it("asks the support desk for a reason before it shows somebody's reports, and says whose they are", async () => {
    const staff = { ...member, roles: ["support"] };
    const closed = json({ type: "urn:bionicpro:problem:reason-required", title: "reason required" }, 403);
    const opened = page.routes["GET /reports/today"];
    const wearer = { user_id: "u-7", name: "Anna", contract_numbers: ["K-1"], prostheses: [] };
    Object.assign(page.routes, {
      "GET /auth/session": json(staff),
      "POST /users/search": json({ items: [wearer], more: false }),
      "GET /users/u-7/reports/today": closed,
      "GET /users/u-7/reports/stream": openStream,
      "GET /users/u-7/reports": page.routes["GET /reports"],
    });
    page.routes["POST /users/u-7/visit"] = () => {
      if (opened !== undefined) page.routes["GET /users/u-7/reports/today"] = opened;
      return new Response(JSON.stringify({ user_id: "u-7", expires_at: "2026-11-23T11:00:00Z" }));
    };
    page.routes["DELETE /users/u-7/visit"] = json({ ended: true });
    open();
    await until(() => find("search") !== null);
    write("search-text", "ann");
    find("search")?.click();
    await until(() => find("found-wearer") !== null);
    find("found-wearer")?.querySelector("a")?.click();
    await until(() => find("visit") !== null);
    expect(find("prosthesis-card")).toBeNull();
    find("begin-visit")?.click();
    await until(() => find("visit")?.textContent.includes("Say why") ?? false);
    const begun = page.routes["POST /users/u-7/visit"];
    page.routes["POST /users/u-7/visit"] = json({ type: "urn:bionicpro:problem:invalid-parameter" }, 422);
    write("reason", "why");
    find("begin-visit")?.click();
    await until(() => find("visit")?.textContent.includes("Say why you need") ?? false);
    page.routes["POST /users/u-7/visit"] = begun;
    write("reason", "Ticket 12");
    find("begin-visit")?.click();
    await until(() => find("today-usage") !== null);
    expect(find("viewing")?.textContent).toContain("Viewing as Anna");
    find("leave")?.click();
    await until(() => find("support") !== null && find("viewing") === null);
  });

  it("shows support staff the search instead of reports that they do not have", async () => {
    page.routes = { "GET /auth/session": json({ ...member, roles: ["support"] }) };
    open();
    await until(() => find("support") !== null);
    expect(find("nav-today")).toBeNull();
  });

  it("leaves it to the service how short a name may be, and says so where it is too short", async () => {
    const items = [{ user_id: "u-8", name: "李明", contract_numbers: [], prostheses: [] }];
    page.routes = {
      "GET /auth/session": json({ ...member, roles: ["support"] }),
      "POST /users/search": json({ items, more: false }),
    };
    open();
    await until(() => find("search") !== null);
    write("search-text", "李明");
    find("search")?.click();
    await until(() => find("found-wearer") !== null);
    page.routes["POST /users/search"] = json({ type: "urn:bionicpro:problem:invalid-parameter" }, 422);
    write("search-text", "li");
    find("search")?.click();
    await until(() => find("support")?.textContent.includes("Write three letters at least") ?? false);
    expect(find("found-wearer")).toBeNull();
  });
});
