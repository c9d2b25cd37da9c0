import { useEffect, useReducer, useState } from "react";
import { type Subject, getToday, openStream } from "../api/client";
import { runFeed } from "../live/feed";
import { INITIAL_LIVE, type LiveState, reduceLive } from "../live/state";
import { sleep } from "./sleep";

/** Today's numbers of `subject` for as long as the component is mounted; calls `onEnded` when the session is over. */
export function useLive(subject: Subject, onEnded: () => void): LiveState {
  const [state, emit] = useReducer(reduceLive, INITIAL_LIVE);
  const [defect, setDefect] = useState<{ cause: unknown } | null>(null);
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    const told = (event: Event) => {
      emit({ type: event.type === "online" ? "online" : "offline" });
    };
    window.addEventListener("online", told, { signal });
    window.addEventListener("offline", told, { signal });
    const ports = {
      getToday: (limited: AbortSignal) => getToday(subject, limited),
      openStream: (id: string, limited: AbortSignal) => openStream(subject, id, limited),
      sleep,
      emit,
      now: () => performance.now(),
      chance: () => Math.random(),
    };
    runFeed(ports, signal).then(
      (reason) => {
        if (reason === "session-ended") onEnded();
      },
      (cause: unknown) => {
        setDefect({ cause });
      },
    );
    return () => {
      controller.abort();
    };
  }, [subject, onEnded]);
  // A defect in the feed must not leave numbers that stand still without a word.
  if (defect !== null) throw defect.cause;
  return state;
}
