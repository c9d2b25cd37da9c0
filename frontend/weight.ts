/**
 * What the build weighs on the wire: compresses what a browser can have compressed, and refuses a build whose
 * first page has outgrown its budget.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin, Rolldown } from "vite";

/** Bytes of JavaScript after gzip: what the page loads until today's numbers stand, and all there is. */
const FIRST_PAGE_BUDGET = 110_000;
const TOTAL_BUDGET = 220_000;
/** The page that a wearer sees first, by its source. */
const FIRST_PAGE = "src/app/Inside.tsx";
const COMPRESSED = /\.(js|css|html|svg|webmanifest)$/;
/** The service worker's entry; its `__FILES__` become the build's files that it keeps. */
export const WORKER = "sw";
/** Below this the headers cost more than is saved. */
const WORTH_BYTES = 1_000;

export interface Chunk {
  name: string;
  isEntry: boolean;
  /** The source file that made the chunk, where it is imported on demand. */
  source: string | null;
  imports: readonly string[];
  bytes: number;
}

/** The names of the chunks that the first page needs: the entry, the page itself, and all that they import. */
export function firstPage(chunks: readonly Chunk[], page: string): Set<string> {
  const needed = new Set<string>();
  // The worker is an entry too, but comes after the page and beside it.
  const queue = chunks.filter(
    (chunk) => (chunk.isEntry && chunk.name !== `${WORKER}.js`) || (chunk.source?.endsWith(page) ?? false),
  );
  for (let chunk = queue.pop(); chunk !== undefined; chunk = queue.pop()) {
    if (needed.has(chunk.name)) continue;
    needed.add(chunk.name);
    const { imports } = chunk;
    queue.push(...chunks.filter(({ name }) => imports.includes(name)));
  }
  return needed;
}

/** What is wrong with the weight of `chunks`; empty where nothing is. */
export function overweight(chunks: readonly Chunk[]): string[] {
  const first = firstPage(chunks, FIRST_PAGE);
  const sum = (some: readonly Chunk[]) => some.reduce((total, { bytes }) => total + bytes, 0);
  const measured: [string, number, number][] = [
    ["the first page", sum(chunks.filter(({ name }) => first.has(name))), FIRST_PAGE_BUDGET],
    ["the whole page", sum(chunks), TOTAL_BUDGET],
  ];
  return measured
    .filter(([, bytes, budget]) => bytes > budget)
    .map(([what, bytes, budget]) => `${what} has ${bytes} bytes of JavaScript (gzip), more than ${budget}`);
}

function chunksOf(bundle: Rolldown.OutputBundle): Chunk[] {
  return Object.values(bundle).flatMap((part) =>
    part.type === "chunk"
      ? [
          {
            name: part.fileName,
            isEntry: part.isEntry,
            source: part.facadeModuleId,
            imports: part.imports,
            bytes: gzip(Buffer.from(part.code)).length,
          },
        ]
      : [],
  );
}

/**
 * `html` with the first page's files named in its head, so that all of them are asked for at once: the entry would
 * ask for the others only when it has come as a whole, which costs a round trip. Another entry runs before it.
 */
export function preloading(html: string, chunks: readonly Chunk[]): string {
  const first = firstPage(chunks, FIRST_PAGE);
  const needed = chunks.filter(({ name }) => first.has(name)).sort((a, b) => (a.name < b.name ? -1 : 1));
  const scripts = needed
    .filter(({ name, isEntry }) => isEntry && !html.includes(`src="/${name}"`))
    .map(({ name }) => `    <script type="module" crossorigin src="/${name}"></script>\n`);
  const links = needed
    .filter(({ name, isEntry }) => !isEntry && !html.includes(name))
    .map(({ name }) => `    <link rel="modulepreload" crossorigin href="/${name}">\n`);
  return html
    .replace("</title>\n", `</title>\n${scripts.join("")}`)
    .replace("  </head>", `${links.join("")}  </head>`);
}

/** Writes the names of the build's files into the worker, which keeps them for when there is no network. */
function fillWorker(dir: string, names: readonly string[]): void {
  const file = join(dir, `${WORKER}.js`);
  const kept = names.filter((name) => name.startsWith("assets/")).map((name) => `/${name}`);
  const source = readFileSync(file, "utf-8");
  if (!source.includes("__FILES__")) throw new Error("the service worker has no place for the build's files");
  writeFileSync(file, source.replace("__FILES__", JSON.stringify(kept.sort())));
}

function gzip(content: Buffer): Buffer {
  return gzipSync(content, { level: 9 });
}

function brotli(content: Buffer): Buffer {
  return brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
}

/** Names the first page's files in the HTML, tells the worker its files, writes `file.br` and `file.gz` beside every file worth it, and fails the build above the budget. */
export function weight(): Plugin {
  return {
    name: "bionicpro-weight",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler: (html, { bundle }) => (bundle === undefined ? html : preloading(html, chunksOf(bundle))),
    },
    writeBundle({ dir }, bundle) {
      if (dir === undefined) throw new Error("the build has no folder");
      const chunks = chunksOf(bundle);
      const found = overweight(chunks);
      if (found.length > 0) throw new Error(found.join("; "));
      fillWorker(dir, Object.keys(bundle));
      const files = Object.keys(bundle).filter((name) => COMPRESSED.test(name));
      for (const name of files) {
        const content = readFileSync(join(dir, name));
        if (content.length < WORTH_BYTES) continue;
        writeFileSync(join(dir, `${name}.br`), brotli(content));
        writeFileSync(join(dir, `${name}.gz`), gzip(content));
      }
    },
  };
}
