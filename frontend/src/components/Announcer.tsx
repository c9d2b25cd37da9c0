import { type ReactNode, createContext, use, useCallback, useState } from "react";

const Announce = createContext<(text: string) => void>(() => undefined);

/**
 * One live region that is there, and empty, before anything happens: assistive technology reads out what is put
 * into it. A region that appears together with its text is often not read at all.
 */
export function Announcer({ children }: { children: ReactNode }) {
  const [text, setText] = useState("");
  const announce = useCallback((next: string) => {
    // A text that is already there would be no change: the space makes it one, and is not read.
    setText((last) => (last === next ? `${next}\u00a0` : next));
  }, []);
  return (
    <Announce value={announce}>
      {children}
      <p className="visually-hidden" role="status" data-testid="announcer">
        {text}
      </p>
    </Announce>
  );
}

export function useAnnounce(): (text: string) => void {
  return use(Announce);
}
