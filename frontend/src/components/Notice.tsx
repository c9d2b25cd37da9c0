import type { ReactNode } from "react";

/** A sentence that assistive technology reads out once, when it appears. */
export function Notice({ tone, children }: { tone: "warning" | "danger"; children: ReactNode }) {
  return (
    <div className={`notice ${tone}`} role="status">
      <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
        <path className="notice-sign" d="M10 2.5 18.5 17h-17z M10 8v4 M10 14.4v.2" />
      </svg>
      <p>{children}</p>
    </div>
  );
}
