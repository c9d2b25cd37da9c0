import { useCallback, useEffect, useReducer, useRef, useState } from "react";
import { getReports } from "../api/client";
import type { DailyReport } from "../api/contract";
import { failureFrom } from "../api/failures";
import { addDays } from "../domain/days";
import { HISTORY_DAYS } from "../domain/history";

export interface EarlierDays {
  reports: DailyReport[] | null;
  failed: boolean;
  retry: () => void;
}

type Outcome = { reports: DailyReport[] } | "failed";
type Loaded = Pick<EarlierDays, "reports" | "failed">;

/** A failure keeps what was there before. */
function reduce(state: Loaded, outcome: Outcome): Loaded {
  if (outcome === "failed") return { ...state, failed: true };
  return { reports: outcome.reports, failed: false };
}

/**
 * The reports of the days before `today` (`YYYY-MM-DD`; null while unknown). Late uploads change earlier days, so
 * they are read again when the wearer comes back to the tab; never by a timer alone, which could keep a session
 * from becoming idle.
 */
export function useEarlierDays(today: string | null, onEnded: () => void): EarlierDays {
  const [loaded, dispatch] = useReducer(reduce, { reports: null, failed: false });
  const [round, setRound] = useState(0);
  const retry = useCallback(() => {
    setRound((last) => last + 1);
  }, []);

  const shownDay = useRef<string | null>(null);
  useEffect(() => {
    if (today === null) return;
    // At midnight the page reads by itself; anything else follows from what a person did.
    const background = shownDay.current !== null && shownDay.current !== today;
    shownDay.current = today;
    const controller = new AbortController();
    void load(today, background, controller.signal, onEnded).then((outcome) => {
      if (outcome !== null) dispatch(outcome);
    });
    return () => {
      controller.abort();
    };
  }, [today, round, onEnded]);

  useEffect(() => {
    const shown = () => {
      if (document.visibilityState === "visible") retry();
    };
    document.addEventListener("visibilitychange", shown);
    return () => {
      document.removeEventListener("visibilitychange", shown);
    };
  }, [retry]);

  return { ...loaded, retry };
}

/** Null where the answer is no longer wanted. */
async function load(
  today: string,
  background: boolean,
  signal: AbortSignal,
  onEnded: () => void,
): Promise<Outcome | null> {
  try {
    const range = { from: addDays(today, -HISTORY_DAYS), to: today };
    const reports = await getReports(range, background, signal);
    return { reports };
  } catch (error) {
    if (signal.aborted) return null;
    if (failureFrom(error).kind !== "session-ended") return "failed";
    onEnded();
    return null;
  }
}
