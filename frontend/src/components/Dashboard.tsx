import { useEarlierDays } from "../hooks/useEarlierDays";
import { useLive } from "../hooks/useLive";
import type { SessionControl } from "../hooks/useSession";
import { Export } from "./Export";
import { History } from "./History";
import { SessionNotices } from "./SessionNotices";
import { Today } from "./Today";

export default function Dashboard({ control }: { control: SessionControl }) {
  const onEnded = control.markEnded;
  const live = useLive(onEnded);
  const today = live.snapshot?.today ?? null;
  const earlier = useEarlierDays(today?.report_date ?? null, onEnded);
  return (
    <main className="page">
      <SessionNotices
        ending={control.ending}
        logOutFailed={control.logOutFailed}
        timeZone={today?.timezone ?? null}
        onStay={control.stay}
        onDismiss={control.dismiss}
      />
      <Today live={live} earlier={earlier.reports ?? []} />
      {today !== null && (
        <>
          <History today={today} earlier={earlier} />
          <Export lastDay={today.report_date} onEnded={onEnded} />
        </>
      )}
    </main>
  );
}
