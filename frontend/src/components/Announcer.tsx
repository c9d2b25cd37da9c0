import { type ReactNode, createContext, use, useCallback, useState } from "react";

/** Has `text` read out, and returns what takes it away again once it no longer holds. */
type Announce = (text: string) => () => void;

const Announcing = createContext<Announce>(() => () => undefined);

/**
 * One live region that is there, and empty, before anything happens: assistive technology reads out what is put
 * into it. A region that appears together with its text is often not read at all.
 */
export function Announcer({ children }: { children: ReactNode }) {
  const [text, setText] = useState("");
  const announce = useCallback<Announce>((next) => {
    // A text that is already there would be no change: the space makes it one, and is not read.
    setText((last) => (last === next ? `${next}\u00a0` : next));
    return () => {
      setText((last) => (last.trimEnd() === next ? "" : last));
    };
  }, []);
  return (
    <Announcing value={announce}>
      {children}
      <p className="visually-hidden" role="status" data-testid="announcer">
        {text}
      </p>
    </Announcing>
  );
}

export function useAnnounce(): Announce {
  return use(Announcing);
}
