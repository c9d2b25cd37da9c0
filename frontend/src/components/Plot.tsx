import { type PointerEvent, type ReactNode, useId, useState } from "react";
import { PITCH, type Slot, slotAt } from "../domain/plot";
import { useLanguage } from "../i18n/LanguageContext";

interface PlotProps {
  title: string;
  /** What the top of the chart stands for. */
  scale: string;
  slots: readonly Slot[];
  /** The table's heads: of the slots and of what stands in them. */
  heads: readonly [slot: string, value: string];
  /** The slot that is told before one is chosen. */
  start: number;
  testId: string;
  /** Marks in a drawing 100 high and `PITCH` wide a slot. */
  children: ReactNode;
}

/**
 * A chart whose values can be had by eye, mouse, finger, arrow keys and ear: marks, a range input over them that
 * goes from slot to slot, the chosen slot in words, and all of it as a table.
 */
export function Plot({ title, scale, slots, heads, start, testId, children }: PlotProps) {
  const [chosen, setChosen] = useState<string | null>(null);
  const id = useId();
  const found = slots.findIndex((slot) => slot.key === chosen);
  const index = found === -1 ? Math.max(0, start) : found;
  const slot = slots[index];
  if (slot === undefined) return null;
  const choose = (next: number) => {
    setChosen(slots[next]?.key ?? null);
  };
  const point = (event: PointerEvent) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    choose(slotAt((event.clientX - left) / width, slots.length));
  };
  return (
    <figure className="chart" aria-labelledby={id}>
      <figcaption>
        <span id={id}>{title}</span>
        <span className="chart-scale">{scale}</span>
      </figcaption>
      <p className="chart-chosen" data-testid={`${testId}-chosen`}>
        <span>{slot.name}</span> <b>{slot.text}</b>
      </p>
      <div className="chart-plot" onPointerMove={point} onPointerDown={point}>
        <svg
          className="chart-bars"
          viewBox={`0 0 ${slots.length * PITCH} 100`}
          preserveAspectRatio="none"
          aria-hidden="true"
          data-testid={testId}
          data-value={slots.length}
        >
          <rect className="chart-hit" x={index * PITCH} y={0} width={PITCH} height={100} />
          <path className="chart-grid" d={`M0 0.5H${slots.length * PITCH}M0 50H${slots.length * PITCH}`} />
          {children}
        </svg>
        <input
          type="range"
          className="chart-keys"
          min={0}
          max={slots.length - 1}
          value={index}
          aria-labelledby={id}
          aria-valuetext={`${slot.name}: ${slot.text}`}
          data-testid={`${testId}-keys`}
          onChange={(event) => {
            choose(Number(event.target.value));
          }}
        />
      </div>
      <Ticks slots={slots} />
      <Table title={title} heads={heads} slots={slots} />
    </figure>
  );
}

/** The tick's place comes from the same grid as the marks. */
function Ticks({ slots }: { slots: readonly Slot[] }) {
  const named = slots.filter(({ tick }) => tick !== "");
  return (
    <ol className="chart-hours" aria-hidden="true">
      {slots.map((slot) => (
        <li key={slot.key} className={`${rankOf(named.indexOf(slot))} ${slot.current ? "current" : ""}`}>
          {slot.tick}
        </li>
      ))}
    </ol>
  );
}

/** Which names stay where there is no room for all: every second, then every fourth. */
function rankOf(place: number): string {
  if (place % 4 === 0) return "tick-fourth";
  return place % 2 === 0 ? "tick-second" : "tick";
}

function Table({ title, heads, slots }: Pick<PlotProps, "title" | "heads" | "slots">) {
  const { t } = useLanguage();
  return (
    <details className="chart-table">
      <summary>{t("chart.table")}</summary>
      <table>
        <caption className="visually-hidden">{title}</caption>
        <thead>
          <tr>
            <th scope="col">{heads[0]}</th>
            <th scope="col">{heads[1]}</th>
          </tr>
        </thead>
        <tbody>
          {slots
            .filter((slot) => !slot.ahead)
            .map((slot) => (
              <tr key={slot.key}>
                <th scope="row">{slot.name}</th>
                <td>{slot.text}</td>
              </tr>
            ))}
        </tbody>
      </table>
    </details>
  );
}
