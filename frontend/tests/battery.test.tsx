// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";
import { wholePage } from "./support/page";

describe("the battery's chart", () => {
  const { find, open, until } = wholePage();

  it("tells an hour by its two levels, and by one where they are alike", async () => {
    open();
    await until(() => find("battery-chart") !== null);
    const table = find("battery-chart")?.closest("figure")?.querySelector("table");
    const levels = Array.from(table?.querySelectorAll("tbody td") ?? [], (cell) => cell.textContent);
    expect(levels.slice(6, 10)).toEqual(["no reading", "100%", "100% to 90%", "89% to 80%"]);
  });
});
