import type { Session } from "../api/contract";

export type SessionState =
  | { status: "loading"; unavailable: boolean }
  | { status: "out"; reason: "never" | "logged-out" | "ended" }
  | { status: "in"; name: string | null; endsAt: number | null };

export type SessionEvent =
  { type: "answer"; session: Session } | { type: "unavailable" } | { type: "ended" } | { type: "logged-out" };

export const INITIAL_SESSION: SessionState = { status: "loading", unavailable: false };

export function reduceSession(state: SessionState, event: SessionEvent): SessionState {
  switch (event.type) {
    case "answer":
      if (event.session.authenticated) {
        return { status: "in", name: event.session.name, endsAt: event.session.ends_at };
      }
      return ended(state);
    case "unavailable":
      // Whoever is logged in keeps the page: the numbers have their own notice of an outage.
      return state.status === "loading" ? { status: "loading", unavailable: true } : state;
    case "ended":
      return ended(state);
    case "logged-out":
      return { status: "out", reason: "logged-out" };
  }
}

function ended(state: SessionState): SessionState {
  if (state.status === "out") return state;
  return { status: "out", reason: state.status === "in" ? "ended" : "never" };
}

const WARN_BEFORE_MS = 120_000;

/** Whether the session ends so soon that the wearer should know. Instants in ms since 1970. */
export function endsSoon(endsAt: number | null, now: number): boolean {
  return endsAt !== null && endsAt - now <= WARN_BEFORE_MS;
}
