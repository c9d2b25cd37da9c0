import { createContext, use } from "react";
import type { Subject } from "../api/client";
import type { DailyReport, ErrorTexts, Today } from "../api/contract";
import type { Loaded } from "../hooks/useLoaded";
import type { SessionControl } from "../hooks/useSession";
import type { LiveState } from "../live/state";

/** What every page of one wearer stands on. */
export interface View {
  /** Whose reports; null: the reader's own. */
  subject: Subject;
  live: LiveState;
  /** Today as it is known at the moment. */
  today: Today | null;
  /** The days before today that say what is usual. */
  earlier: Loaded<DailyReport[]>;
  /** What error codes mean, in the reader's language. */
  errorTexts: Loaded<ErrorTexts>;
  control: SessionControl;
}

export const ViewContext = createContext<View | null>(null);

export function useView(): View {
  const view = use(ViewContext);
  if (view === null) throw new Error("useView needs a wearer's page above it");
  return view;
}
