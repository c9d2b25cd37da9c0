import type { Session } from "../api/contract";

export type OutReason =
  | "never"
  | "logged-out"
  /** Logged out here, while the login server could not be told: its own session may go on. */
  | "logged-out-here"
  | "ended";

/** Both ends are instants in ms since 1970: `idleEndsAt` moves on when the person does something, `endsAt` does not. */
export interface Member {
  status: "in";
  name: string | null;
  roles: readonly string[];
  endsAt: number | null;
  idleEndsAt: number | null;
}

export type SessionState =
  { status: "loading"; unavailable: boolean } | { status: "out"; reason: OutReason } | Member;

export type SessionEvent =
  | { type: "answer"; session: Session }
  | { type: "unavailable" }
  | { type: "ended" }
  | { type: "logged-out"; everywhere: boolean };

export const INITIAL_SESSION: Exclude<SessionState, Member> = { status: "loading", unavailable: false };

export function reduceSession(state: SessionState, event: SessionEvent): SessionState {
  switch (event.type) {
    case "answer":
      if (event.session.authenticated) {
        const { name, roles, ends_at, idle_ends_at } = event.session;
        return { status: "in", name, roles, endsAt: ends_at, idleEndsAt: idle_ends_at };
      }
      return ended(state);
    case "unavailable":
      // Whoever is logged in keeps the page: the numbers have their own notice of an outage.
      return state.status === "loading" ? { status: "loading", unavailable: true } : state;
    case "ended":
      return ended(state);
    case "logged-out":
      return { status: "out", reason: event.everywhere ? "logged-out" : "logged-out-here" };
  }
}

function ended(state: SessionState): SessionState {
  if (state.status === "out") return state;
  return { status: "out", reason: state.status === "in" ? "ended" : "never" };
}

const WARN_BEFORE_MS = 120_000;

/** The session's near end; null while it is far. `canStay`: the person can move it, since it is not the absolute end. */
export interface Ending {
  at: number;
  canStay: boolean;
}

export function endingOf({ endsAt, idleEndsAt }: Member, now: number): Ending | null {
  const at = Math.min(endsAt ?? Infinity, idleEndsAt ?? Infinity);
  if (at - now > WARN_BEFORE_MS) return null;
  return { at, canStay: endsAt === null || at < endsAt };
}

/** The shortest time between two words to the server that the person is still there. */
const ACTIVE_EVERY_MS = 60_000;

/** Whether something that the person did at `now` is worth telling; `told` is when it was last, null never. */
export function activityDue(told: number | null, now: number): boolean {
  return told === null || now - told >= ACTIVE_EVERY_MS;
}

/** Somebody of the support desk, who may look at other people's reports. */
export function helps(roles: readonly string[]): boolean {
  return roles.includes("support");
}

/** Whoever is not of the support desk alone may have reports of their own. */
export function wears(roles: readonly string[]): boolean {
  return roles.includes("wearer") || !helps(roles);
}
