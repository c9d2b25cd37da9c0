import { type ReactNode, useEffect } from "react";
import { useAnnounce } from "./Announcer";

interface NoticeProps {
  tone: "warning" | "danger";
  /** What is read out when the notice appears. */
  said: string;
  children: ReactNode;
}

export function Notice({ tone, said, children }: NoticeProps) {
  const announce = useAnnounce();
  useEffect(() => announce(said), [announce, said]);
  return (
    <div className={`notice ${tone}`} data-testid="notice">
      <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
        <path className="notice-sign" d="M10 2.5 18.5 17h-17z M10 8v4 M10 14.4v.2" />
      </svg>
      {children}
    </div>
  );
}
