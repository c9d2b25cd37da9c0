import type { DailyReport } from "../../src/api/contract";

export const HOUR = 3_600_000;

interface Shape {
  date?: string;
  prosthesis?: string;
  /** Milliseconds of use by hour slot. */
  hours?: number[];
  signals?: [count: number, recognised: number];
  errors?: [count: number, critical: number];
  codes?: Record<string, number>;
  drain?: number | null;
  events?: number;
  version?: number;
}

/** Readings of three hours, 100 % to 80 %; within the first nothing is used. */
function batteryHours(start: number) {
  return [
    { starts_at: new Date(start + 7 * HOUR).toISOString(), first_percent: 100, last_percent: 99.9 },
    { starts_at: new Date(start + 8 * HOUR).toISOString(), first_percent: 100, last_percent: 90 },
    { starts_at: new Date(start + 9 * HOUR).toISOString(), first_percent: 89, last_percent: 80 },
  ];
}

/** A report as the API sends it (JSON), for a day that begins at midnight UTC. */
export function reportJson(shape: Shape = {}) {
  const { date = "2026-11-23", prosthesis = "17", hours = [], signals = [10, 9], errors = [0, 0] } = shape;
  const start = Date.parse(`${date}T00:00:00Z`);
  const byHour = Array.from({ length: 24 }, (_, index) => ({
    starts_at: new Date(start + index * HOUR).toISOString(),
    ms: hours[index] ?? 0,
  }));
  const drain = shape.drain === undefined ? 12.5 : shape.drain;
  return {
    report_date: date,
    prosthesis_id: prosthesis,
    prosthesis_model: "Hand X2",
    prosthesis_serial_number: "BP-17",
    customer_name: "Anna",
    timezone: "UTC",
    day_starts_at: new Date(start).toISOString(),
    day_ends_at: new Date(start + 24 * HOUR).toISOString(),
    complete: false,
    version: shape.version ?? 1,
    usage: { total_ms: byHour.reduce((sum, hour) => sum + hour.ms, 0), by_hour: byHour },
    signals: {
      count: signals[0],
      recognised_count: signals[1],
      efficiency: signals[0] === 0 ? null : signals[1] / signals[0],
    },
    battery: drain === null ? null : { last_percent: 80, drain_percent: drain, by_hour: batteryHours(start) },
    errors: { count: errors[0], critical_count: errors[1], by_code: shape.codes ?? {} },
    event_count: shape.events ?? 42,
    first_event_at: new Date(start).toISOString(),
    last_event_at: new Date(start + HOUR).toISOString(),
  };
}

export function todayJson(shapes: Shape[] = [{}], asOf: string | null = "2026-11-23T10:00:00Z") {
  return {
    user_id: "u",
    report_date: "2026-11-23",
    timezone: "UTC",
    items: shapes.map(reportJson),
    last_known: [] as ReturnType<typeof reportJson>[],
    as_of: asOf,
    freshness_ms: asOf === null ? null : 250,
    units: {},
  };
}

/** A period of seven days, five of them with data, four of them complete. */
export function summaryJson() {
  return {
    current: {
      days_with_data: 5,
      complete_days: 4,
      usage: { total_ms: 6 * HOUR, mean_ms_per_day: 1.5 * HOUR },
      signals: { count: 100, recognised_count: 93, efficiency: 0.93 },
      errors: { count: 7, critical_count: 1, by_code: {} },
    },
    change: { usage_per_day_ratio: 0.1, efficiency_difference: -0.02, errors_per_day_difference: 0.5 },
  };
}

/** The same report as the page holds it. */
export function report(shape: Shape = {}): DailyReport {
  const json = reportJson(shape);
  const at = (text: string) => Date.parse(text);
  return {
    ...json,
    day_starts_at: at(json.day_starts_at),
    day_ends_at: at(json.day_ends_at),
    first_event_at: at(json.first_event_at),
    last_event_at: at(json.last_event_at),
    battery:
      json.battery === null
        ? null
        : {
            ...json.battery,
            by_hour: json.battery.by_hour.map((hour) => ({ ...hour, starts_at: at(hour.starts_at) })),
          },
    usage: {
      total_ms: json.usage.total_ms,
      by_hour: json.usage.by_hour.map(({ starts_at, ms }) => ({ starts_at: at(starts_at), ms })),
    },
  };
}
