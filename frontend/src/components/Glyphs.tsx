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

export const LOW_PERCENT = 20;

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
