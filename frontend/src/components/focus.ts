/** Puts the focus on the element `id`, where what had it goes away: the keyboard goes on from there. */
export function focusOn(id: string): void {
  document.getElementById(id)?.focus();
}
