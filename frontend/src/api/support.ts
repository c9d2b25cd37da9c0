/** Calls of the support desk: to find a wearer, and to open their reports with a reason, for a while. */

import { type Decoded, flag, list, shape, text } from "./decode";
import type { components } from "./openapi";
import { RAW, api, read } from "./client";

type Wire = components["schemas"];

const wearer = shape<Wire["FoundWearer"]>()({
  user_id: text,
  name: text,
  contract_numbers: list(text),
  prostheses: list(shape<Wire["FoundProsthesis"]>()({ model: text, serial_number: text })),
});
/** `more`: not all that were found are here. */
const wearers = shape<Wire["Wearers"]>()({ items: list(wearer), more: flag });
const visit = shape<Wire["VisitAnswer"]>()({ user_id: text });
const ended = shape<Wire["VisitEnded"]>()({ ended: flag });

export type FoundWearer = Decoded<typeof wearer>;
export type Wearers = Decoded<typeof wearers>;

/** What the API takes; it says so itself as well. What is too short, it alone says (422): that goes by the script. */
export const LONGEST_REASON = 200;

export function findWearers(searched: string, signal: AbortSignal): Promise<Wearers> {
  const ask = (limited: AbortSignal) =>
    api().POST("/users/search", { ...RAW, body: { text: searched }, signal: limited });
  return read(ask, (value) => wearers(value, ""), signal);
}

export async function beginVisit(user_id: string, reason: string, signal: AbortSignal): Promise<void> {
  const ask = (limited: AbortSignal) =>
    api().POST("/users/{user_id}/visit", {
      ...RAW,
      params: { path: { user_id } },
      body: { reason },
      signal: limited,
    });
  await read(ask, (value) => visit(value, ""), signal);
}

export async function endVisit(user_id: string, signal: AbortSignal): Promise<void> {
  const ask = (limited: AbortSignal) =>
    api().DELETE("/users/{user_id}/visit", { ...RAW, params: { path: { user_id } }, signal: limited });
  await read(ask, (value) => ended(value, ""), signal);
}
