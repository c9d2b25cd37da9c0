import { useCallback, useEffect, useReducer, useState } from "react";
import { extendSession, getSession, logOut } from "../api/client";
import { forgetEarly } from "../api/early";
import { failureFrom } from "../api/failures";
import { forgetAnswers } from "../api/remembered";
import {
  type Ending,
  INITIAL_SESSION,
  type SessionEvent,
  type SessionState,
  endingOf,
  reduceSession,
} from "../domain/session";
import { delayAfter } from "../live/backoff";
import { sleep } from "./sleep";

/** Asking who is logged in does not extend the session. */
const CHECK_EVERY_MS = 60_000;

type Dispatch = (event: SessionEvent) => void;

export interface SessionControl {
  session: SessionState;
  ending: Ending | null;
  /** Until the person has read it, or tries again. */
  logOutFailed: boolean;
  /** The API answered 401. */
  markEnded: () => void;
  logOut: () => Promise<void>;
  /** The person wants to stay logged in. */
  stay: () => void;
  /** The person has read that logging out failed. */
  dismiss: () => void;
}

export function useSession(): SessionControl {
  const [session, dispatch] = useReducer(reduceSession, INITIAL_SESSION);
  const [logOutFailed, setLogOutFailed] = useState(false);
  const ending = useEnding(session);

  useEffect(() => {
    if (session.status !== "out") return;
    forgetAnswers();
    forgetEarly();
  }, [session.status]);

  useEffect(() => {
    const controller = new AbortController();
    void watch(dispatch, controller.signal);
    return () => {
      controller.abort();
    };
  }, []);

  const markEnded = useCallback(() => {
    dispatch({ type: "ended" });
  }, []);

  const leave = useCallback(async () => {
    setLogOutFailed(false);
    try {
      const everywhere = await logOut(new AbortController().signal);
      dispatch({ type: "logged-out", everywhere });
    } catch (error) {
      // Nobody told the login server then.
      if (failureFrom(error).kind === "session-ended") dispatch({ type: "logged-out", everywhere: false });
      else setLogOutFailed(true);
    }
  }, []);

  const stay = useCallback(() => {
    void tell(dispatch, extendSession, new AbortController().signal);
  }, []);

  const dismiss = useCallback(() => {
    setLogOutFailed(false);
  }, []);

  return { session, ending, logOutFailed, markEnded, logOut: leave, stay, dismiss };
}

/** The near end of the session, looked for every ten seconds. */
function useEnding(session: SessionState): Ending | null {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      setNow(Date.now());
    }, 10_000);
    return () => {
      clearInterval(timer);
    };
  }, []);
  return session.status === "in" ? endingOf(session, now) : null;
}

/** Asks at once, when the tab is shown again, and every minute; sooner while no answer has come. */
async function watch(dispatch: Dispatch, signal: AbortSignal): Promise<void> {
  const shown = () => {
    if (document.visibilityState === "visible") void ask(dispatch, signal);
  };
  document.addEventListener("visibilitychange", shown, { signal });
  let failures = 0;
  while (!signal.aborted) {
    const answered = await ask(dispatch, signal);
    failures = answered ? 0 : failures + 1;
    await sleep(answered ? CHECK_EVERY_MS : delayAfter(failures, null, Math.random()), signal);
  }
}

function ask(dispatch: Dispatch, signal: AbortSignal): Promise<boolean> {
  return tell(dispatch, getSession, signal);
}

/** Makes the request and hands its outcome on; true where there was an answer. */
async function tell(dispatch: Dispatch, request: typeof getSession, signal: AbortSignal): Promise<boolean> {
  try {
    dispatch({ type: "answer", session: await request(signal) });
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    dispatch(failureFrom(error).kind === "session-ended" ? { type: "ended" } : { type: "unavailable" });
    return false;
  }
}
