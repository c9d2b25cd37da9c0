/**
 * What the first page needs of the server, asked for while its code is still on its way: on a slow network the answers
 * are there when the code is. The client takes each answer once, in the place of a request of its own.
 */

import type { Session } from "./contract";
import { wears } from "../domain/session";

/** Every call carries it: another site's page cannot send it. */
export const CSRF = { "X-BionicPRO-CSRF": "1" };
export const DEADLINE_MS = 15_000;
/** An older answer would pass for fresher than it is. */
const USABLE_MS = 10_000;
const SESSION = "/auth/session";
const TODAY = "/reports/today";
/** The support desk's own pages, and the pages of somebody else's reports. */
const NOT_OWN = /^\/support\b/;

interface Answer {
  response: Response;
  at: number;
}

const asked = new Map<string, Promise<Answer | null>>();

/** Asks who is logged in and, of a wearer on pages of their own, for today. Called once, as the very first thing. */
export function askEarly(): void {
  const session = answer(SESSION);
  const today = session.then(async (known) => ((await isWearers(known)) ? answer(TODAY) : null));
  asked.set(SESSION, session);
  asked.set(TODAY, today);
}

/** Resolves when nothing that was asked early is on its way any more. */
export async function answeredEarly(): Promise<void> {
  await Promise.all(asked.values());
}

/** The early answer to `request`; null where there is none, it failed, or it has waited too long. */
export async function takeEarly(request: Request): Promise<Response | null> {
  const { origin, pathname, search } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin || search !== "") return null;
  const promised = asked.get(pathname);
  if (promised === undefined) return null;
  asked.delete(pathname);
  const known = await promised;
  return known !== null && performance.now() - known.at <= USABLE_MS ? known.response : null;
}

/** Health data of a session that is over is not kept. */
export function forgetEarly(): void {
  asked.clear();
}

/** Null where there is no answer: the client asks again, and deals with what is wrong. */
async function answer(path: string): Promise<Answer | null> {
  try {
    const signal = AbortSignal.timeout(DEADLINE_MS);
    const response = await fetch(path, { headers: CSRF, cache: "no-store", redirect: "error", signal });
    return response.ok ? { response, at: performance.now() } : null;
  } catch {
    return null;
  }
}

/** Whether the session is a wearer's, on a page of their own reports. A copy is read: the client reads the answer itself. */
async function isWearers(session: Answer | null): Promise<boolean> {
  if (session === null || NOT_OWN.test(location.pathname)) return false;
  try {
    const said = (await session.response.clone().json()) as Session;
    return said.authenticated && wears(said.roles);
  } catch {
    return false;
  }
}
