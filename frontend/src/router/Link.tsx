import type { MouseEvent, ReactNode } from "react";
import { usePlace } from "./navigation";
import { go } from "./navigation";
import { type Route, addressOf } from "./routes";

interface LinkProps {
  to: Route;
  /** Whose pages; by default those that are being looked at. */
  subject?: string | null;
  className?: string;
  /** Whether this is where the reader is. */
  current?: boolean;
  testId?: string;
  label?: string;
  children: ReactNode;
}

/** A link within the page: a real address, so that a new tab, a bookmark and "copy link" work as anywhere. */
export function Link({ to, subject, className, current = false, testId, label, children }: LinkProps) {
  const here = usePlace();
  const place = { subject: subject === undefined ? here.subject : subject, route: to };
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(place);
  };
  return (
    <a
      href={addressOf(place)}
      className={className}
      aria-current={current ? "page" : undefined}
      aria-label={label}
      data-testid={testId}
      onClick={follow}
    >
      {children}
    </a>
  );
}
