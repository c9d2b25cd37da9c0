export const SHORTEST_MS = 1_000;
export const LONGEST_MS = 15_000;

/**
 * Milliseconds before attempt number `failures` + 1: doubling from one second to fifteen, of which a random
 * part (`chance` in 0…1) is taken off so that many pages do not come back at once, and never before the
 * server's own wish. The page goes on for as long as it is open, at the longest interval.
 */
export function delayAfter(failures: number, serverWishMs: number | null, chance: number): number {
  const ceiling = Math.min(LONGEST_MS, SHORTEST_MS * 2 ** Math.min(Math.max(failures - 1, 0), 10));
  const jittered = Math.round(ceiling * (1 - 0.4 * chance));
  return Math.max(jittered, serverWishMs ?? 0);
}
