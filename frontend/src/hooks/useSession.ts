import { useCallback, useEffect, useReducer, useState } from "react";
import { extendSession, getSession, logOut } from "../api/client";
import { failureFrom } from "../api/failures";
import { forgetAnswers } from "../api/remembered";
import {
  INITIAL_SESSION,
  type SessionEvent,
  type SessionState,
  endsSoon,
  reduceSession,
} from "../domain/session";
import { delayAfter } from "../live/backoff";
import { sleep } from "./sleep";

/** Asking who is logged in does not extend the session. */
const CHECK_EVERY_MS = 60_000;

type Dispatch = (event: SessionEvent) => void;

export interface SessionControl {
  session: SessionState;
  endsSoon: boolean;
  logOutFailed: boolean;
  /** The API answered 401. */
  markEnded: () => void;
  logOut: () => Promise<void>;
  /** The person wants to stay logged in. */
  stay: () => void;
}

export function useSession(): SessionControl {
  const [session, dispatch] = useReducer(reduceSession, INITIAL_SESSION);
  const [logOutFailed, setLogOutFailed] = useState(false);
  const [warned, setWarned] = useState(false);
  const endsAt = session.status === "in" ? session.endsAt : null;

  useEffect(() => {
    if (session.status === "out") forgetAnswers();
  }, [session.status]);

  useEffect(() => {
    const controller = new AbortController();
    void watch(dispatch, controller.signal);
    return () => {
      controller.abort();
    };
  }, []);

  useEffect(() => {
    const check = () => {
      setWarned(endsSoon(endsAt, Date.now()));
    };
    check();
    const timer = setInterval(check, 10_000);
    return () => {
      clearInterval(timer);
    };
  }, [endsAt]);

  const markEnded = useCallback(() => {
    dispatch({ type: "ended" });
  }, []);

  const leave = useCallback(async () => {
    setLogOutFailed(false);
    try {
      await logOut(new AbortController().signal);
      dispatch({ type: "logged-out" });
    } catch (error) {
      if (failureFrom(error).kind === "session-ended") dispatch({ type: "logged-out" });
      else setLogOutFailed(true);
    }
  }, []);

  const stay = useCallback(() => {
    void tell(dispatch, extendSession, new AbortController().signal);
  }, []);

  return { session, endsSoon: warned, logOutFailed, markEnded, logOut: leave, stay };
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
