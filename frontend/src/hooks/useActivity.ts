import { useEffect, useRef } from "react";
import { activityDue } from "../domain/session";

/** What only a person does; scrolling by the page itself is not among it. */
const ACTIONS = ["pointerdown", "keydown", "wheel", "touchmove"] as const;

/** Calls `onActive` when the person does something with the page, at most once a minute. */
export function useActivity(onActive: () => void): void {
  const told = useRef<number | null>(null);
  useEffect(() => {
    const controller = new AbortController();
    // Opening the page was told by opening it.
    told.current ??= performance.now();
    const acted = (event: Event) => {
      const now = performance.now();
      if (!event.isTrusted || !activityDue(told.current, now)) return;
      told.current = now;
      onActive();
    };
    for (const action of ACTIONS) {
      document.addEventListener(action, acted, { capture: true, passive: true, signal: controller.signal });
    }
    return () => {
      controller.abort();
    };
  }, [onActive]);
}
