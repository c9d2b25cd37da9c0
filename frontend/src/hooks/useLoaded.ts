import { useCallback, useEffect, useReducer, useRef, useState } from "react";
import { type Failure, failureFrom } from "../api/failures";

/** What was asked for: its value, the failure of the last try, or both where an older value is still there. */
export interface Loaded<T> {
  value: T | null;
  failure: Failure | null;
  /** When the value came, ms since 1970. */
  loadedAt: number | null;
  retry: () => void;
}

/** `background`: no person asked for it, so that it must not keep a session from becoming idle. */
export type Load<T> = (background: boolean, signal: AbortSignal) => Promise<T>;

interface State<T> {
  key: string | null;
  value: T | null;
  failure: Failure | null;
  loadedAt: number | null;
}

type Outcome<T> = { key: string } & ({ value: T; at: number } | { failure: Failure });

const NOTHING = { key: null, value: null, failure: null, loadedAt: null };

/** A failure keeps what was there before, unless that was something else. */
function reduce<T>(state: State<T>, outcome: Outcome<T>): State<T> {
  if ("value" in outcome) {
    return { key: outcome.key, value: outcome.value, failure: null, loadedAt: outcome.at };
  }
  const before = state.key === outcome.key ? state : NOTHING;
  return { ...before, key: outcome.key, failure: outcome.failure };
}

/**
 * What `load` answers for `key` (null: nothing is asked yet). Read again when the reader comes back to the tab or the
 * network does, since late uploads change earlier days; never by a timer alone, which could keep a session from
 * becoming idle. `follows`: a new key comes by itself (the new day at midnight), without a person's asking.
 */
export function useLoaded<T>(
  key: string | null,
  load: Load<T>,
  onEnded: () => void,
  follows = false,
): Loaded<T> {
  const [state, dispatch] = useReducer(reduce<T>, NOTHING);
  const [round, setRound] = useState(0);
  const asked = useRef({ load, onEnded, before: null as string | null });
  useEffect(() => {
    asked.current.load = load;
    asked.current.onEnded = onEnded;
  });
  const retry = useCallback(() => {
    setRound((last) => last + 1);
  }, []);

  useEffect(() => {
    if (key === null) return;
    const { before } = asked.current;
    asked.current.before = key;
    const background = follows && before !== null && before !== key;
    const controller = new AbortController();
    void outcomeOf(asked.current.load, background, controller.signal).then((outcome) => {
      if (outcome === "session-ended") asked.current.onEnded();
      else if (outcome !== null) dispatch({ key, ...outcome });
    });
    return () => {
      controller.abort();
    };
  }, [key, round, follows]);

  useEffect(() => {
    const controller = new AbortController();
    const shown = () => {
      if (document.visibilityState === "visible") retry();
    };
    document.addEventListener("visibilitychange", shown, { signal: controller.signal });
    window.addEventListener("online", retry, { signal: controller.signal });
    return () => {
      controller.abort();
    };
  }, [retry]);

  const { value, failure, loadedAt } = state.key === key ? state : NOTHING;
  return { value, failure, loadedAt, retry };
}

/** Null where the answer is no longer wanted. */
async function outcomeOf<T>(
  load: Load<T>,
  background: boolean,
  signal: AbortSignal,
): Promise<{ value: T; at: number } | { failure: Failure } | "session-ended" | null> {
  try {
    return { value: await load(background, signal), at: Date.now() };
  } catch (error) {
    if (signal.aborted) return null;
    const failure = failureFrom(error);
    return failure.kind === "session-ended" ? "session-ended" : { failure };
  }
}
