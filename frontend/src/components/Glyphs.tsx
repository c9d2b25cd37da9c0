import { LOW_PERCENT } from "../domain/attention";

const CIRCUMFERENCE = 100;

/** A ring filled to `share` (0…1). The number stands beside it, so it says nothing to assistive technology. */
export function Ring({ share }: { share: number }) {
  const filled = Math.min(1, Math.max(0, share)) * CIRCUMFERENCE;
  return (
    <svg className="ring" viewBox="0 0 40 40" width="40" height="40" aria-hidden="true">
      <circle className="ring-ground" cx="20" cy="20" r="16" pathLength={CIRCUMFERENCE} />
      <circle
        className="ring-fill"
        cx="20"
        cy="20"
        r="16"
        pathLength={CIRCUMFERENCE}
        strokeDasharray={`${filled} ${CIRCUMFERENCE}`}
        transform="rotate(-90 20 20)"
      />
    </svg>
  );
}

export function BatteryGlyph({ percent }: { percent: number }) {
  const width = (Math.min(100, Math.max(0, percent)) / 100) * 26;
  return (
    <svg className="battery" viewBox="0 0 38 20" width="38" height="20" aria-hidden="true">
      <rect className="battery-case" x="1" y="1" width="32" height="18" rx="5" />
      <rect className="battery-tip" x="34.5" y="6.5" width="2.5" height="7" rx="1.2" />
      <rect
        className={percent <= LOW_PERCENT ? "battery-level low" : "battery-level"}
        x="4"
        y="4"
        width={width}
        height="12"
        rx="2.5"
      />
    </svg>
  );
}

export type IconName = "today" | "history" | "export" | "more" | "support";

const PATHS: Record<IconName, string> = {
  today: "M4 13h3l2.5-7 4 13 3-9 1.5 3H21",
  history: "M4 20h17 M7 20v-6 M12 20V8 M17 20v-9",
  export: "M6 3h8l5 5v13H6z M14 3v5h5 M9 13h7 M9 17h7",
  more: "M5 7h14 M5 12h14 M5 17h14",
  support: "M10.5 17a6.5 6.5 0 1 1 0-13 6.5 6.5 0 0 1 0 13z M15.5 15.5 21 21",
};

/** Beside a word that says the same. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
