/** Moving about without loading anew: the browser's own history, and one word to whoever shows a place. */

import { useMemo, useSyncExternalStore } from "react";
import { type Place, addressOf, placeOf } from "./routes";

const MOVED = "bionicpro:moved";
let moved = false;

/** Whether the place has changed since the page was loaded: then the focus follows, and not before. */
export function hasMoved(): boolean {
  return moved;
}

export function go(place: Place): void {
  history.pushState(null, "", addressOf(place));
  window.scrollTo(0, 0);
  window.dispatchEvent(new Event(MOVED));
}

function listen(changed: () => void): () => void {
  const told = () => {
    moved = true;
    changed();
  };
  window.addEventListener("popstate", told);
  window.addEventListener(MOVED, told);
  return () => {
    window.removeEventListener("popstate", told);
    window.removeEventListener(MOVED, told);
  };
}

function here(): string {
  return location.pathname + location.search;
}

export function usePlace(): Place {
  const address = useSyncExternalStore(listen, here);
  return useMemo(() => placeOf(address), [address]);
}
