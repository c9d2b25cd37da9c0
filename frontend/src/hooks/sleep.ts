const waking = new EventTarget();

/** Ends every `sleep` at once: the person wants to try now. */
export function wake(): void {
  waking.dispatchEvent(new Event("wake"));
}

/** Resolves after `ms`, at once when `signal` aborts, or early when the browser says it is online again or `wake` is called. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(end, ms);
    function end() {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      window.removeEventListener("online", end);
      waking.removeEventListener("wake", end);
      resolve();
    }
    signal.addEventListener("abort", end);
    window.addEventListener("online", end);
    waking.addEventListener("wake", end);
    if (signal.aborted) end();
  });
}
