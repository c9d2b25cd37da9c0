/** Resolves after `ms`, at once when `signal` aborts, or early when the browser says it is online again. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(end, ms);
    function end() {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      window.removeEventListener("online", end);
      resolve();
    }
    signal.addEventListener("abort", end);
    window.addEventListener("online", end);
    if (signal.aborted) end();
  });
}
