/** What the reader chose, kept by the browser: never anything about their health. */

export type Choice = "language" | "clock" | "notifications";

// A browser may refuse storage (private mode, policy); what was chosen then holds until the page is closed.
export function recall(choice: Choice): string | null {
  try {
    return localStorage.getItem(`bionicpro.${choice}`);
  } catch {
    return null;
  }
}

export function keep(choice: Choice, value: string): void {
  try {
    localStorage.setItem(`bionicpro.${choice}`, value);
  } catch {
    return;
  }
}
