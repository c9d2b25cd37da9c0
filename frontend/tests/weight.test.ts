import { describe, expect, it } from "vitest";
import { type Chunk, firstPage, overweight, preloading } from "../weight";

const chunk = (name: string, bytes: number, more: Partial<Chunk> = {}): Chunk => ({
  name,
  bytes,
  isEntry: false,
  source: null,
  imports: [],
  ...more,
});
const page = { source: "/somewhere/src/app/Inside.tsx", imports: ["shared.js"] };

describe("the weight of the first page", () => {
  it("counts the entry, the page and what they import, and nothing that is loaded later", () => {
    const chunks = [
      chunk("index.js", 1, { isEntry: true, imports: ["react.js"] }),
      chunk("react.js", 1),
      chunk("Inside.js", 1, page),
      chunk("shared.js", 1, { imports: ["react.js"] }),
      chunk("later.js", 1),
    ];
    expect([...firstPage(chunks, "src/app/Inside.tsx")].sort()).toEqual([
      "Inside.js",
      "index.js",
      "react.js",
      "shared.js",
    ]);
  });

  it("is refused above 110 kB, the whole above 220 kB", () => {
    const entry = chunk("index.js", 60_000, { isEntry: true });
    expect(overweight([entry, chunk("Inside.js", 50_000, page)])).toEqual([]);
    expect(overweight([entry, chunk("Inside.js", 50_001, page)])).toHaveLength(1);
    expect(overweight([entry, chunk("later.js", 160_001)])).toEqual([expect.stringContaining("the whole")]);
  });

  it("is asked for at once, by the head of the page, what the head names already not twice", () => {
    const chunks = [
      chunk("index.js", 1, { isEntry: true }),
      chunk("Inside.js", 1, page),
      chunk("shared.js", 1),
      chunk("later.js", 1),
    ];
    const html = preloading('<script src="/index.js"></script>\n  </head>', chunks);
    expect([...html.matchAll(/modulepreload" crossorigin href="(.*?)"/g)].map(([, name]) => name)).toEqual([
      "/Inside.js",
      "/shared.js",
    ]);
  });

  it("runs what asks early before everything else, also where its file is preloaded already", () => {
    const chunks = [
      chunk("index.js", 1, { isEntry: true, imports: ["begin.js"] }),
      chunk("begin.js", 1, { isEntry: true }),
      chunk("Inside.js", 1, page),
    ];
    const head =
      '<title>T</title>\n<script src="/index.js"></script>\n<link rel="modulepreload" href="/begin.js">\n  </head>';
    const scripts = [...preloading(head, chunks).matchAll(/<script.*? src="(.*?)"/g)].map(([, name]) => name);
    expect(scripts).toEqual(["/begin.js", "/index.js"]);
  });
});
