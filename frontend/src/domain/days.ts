/** Calendar dates as text, `YYYY-MM-DD`, without time zones. */

const DAY_MS = 86_400_000;

/** The date `days` later (or earlier, where negative). */
export function addDays(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}

/** The `length` dates up to and with `last`, newest first. */
export function lastDays(last: string, length: number): string[] {
  return Array.from({ length }, (_, index) => addDays(last, -index));
}
