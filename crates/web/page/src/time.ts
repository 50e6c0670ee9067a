// Time on screen: ranges, ticks, and what to call an instant in a zone. A day has 23 or 25 hours where clocks are changed, and nothing here forgets it.

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** What is looked at: all, the last so many milliseconds, or a stretch of its own. */
export type Range = { kind: 'all' } | { kind: 'last'; length: number } | { kind: 'free'; from: number; to: number };

export interface Stretch { from: number; to: number }

/** Ranges that can be picked. */
export const RANGES: { label: string; range: Range }[] = [
  { label: '10m', range: { kind: 'last', length: 10 * MINUTE } },
  { label: '30m', range: { kind: 'last', length: 30 * MINUTE } },
  { label: '1h', range: { kind: 'last', length: HOUR } },
  { label: '3h', range: { kind: 'last', length: 3 * HOUR } },
  { label: 'all', range: { kind: 'all' } },
];

/** The least that can be looked at. */
export const SHORTEST = 20;

/** The stretch that a range is, of a recording that is there from begin to end. */
export function resolve(range: Range, whole: Stretch): Stretch {
  if (range.kind === 'free') return { from: range.from, to: Math.max(range.to, range.from + SHORTEST) };
  const to = Math.max(whole.to, whole.from + SECOND);
  return { from: range.kind === 'all' ? whole.from : Math.max(whole.from, to - range.length), to };
}

/** The stretch, zoomed by a factor around an instant, which stays where it is; never beyond the whole. */
export function zoomed(stretch: Stretch, factor: number, around: number, whole: Stretch): Stretch {
  const length = Math.min(Math.max((stretch.to - stretch.from) * factor, SHORTEST), Math.max(whole.to - whole.from, SECOND));
  const place = (around - stretch.from) / (stretch.to - stretch.from);
  return within({ from: around - place * length, to: around + (1 - place) * length }, whole);
}

/** The stretch, moved into the whole as far as it fits. */
export function within(stretch: Stretch, whole: Stretch): Stretch {
  const length = stretch.to - stretch.from;
  const end = Math.max(whole.to, whole.from + SECOND);
  if (length >= end - whole.from) return { from: whole.from, to: end };
  const from = Math.min(Math.max(stretch.from, whole.from), end - length);
  return { from, to: from + length };
}

/** The fields of an instant in a zone. */
export interface Wall { year: number; month: number; day: number; hour: number; minute: number; second: number; millisecond: number }

const wallFormats = new Map<string, Intl.DateTimeFormat>();

/** What clocks on the wall of that zone show. */
export function wall(time: number, zone: string): Wall {
  let format = wallFormats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-u-ca-gregory', { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' });
    wallFormats.set(zone, format);
  }
  const whole = Math.floor(time / SECOND) * SECOND;
  const field: Record<string, number> = {};
  for (const { type, value } of format.formatToParts(whole)) field[type] = Number(value);
  return { year: field.year!, month: field.month!, day: field.day!, hour: field.hour!, minute: field.minute!, second: field.second!, millisecond: Math.floor(time - whole) };
}

/** How far the clocks of that zone are ahead of UTC at an instant, in milliseconds. */
export function offset(time: number, zone: string): number {
  const at = wall(time, zone);
  return Date.UTC(at.year, at.month - 1, at.day, at.hour, at.minute, at.second) - Math.floor(time / SECOND) * SECOND;
}

/** When the clocks of that zone show this; the first time, if they do twice; as if they had not been changed, if they never do. */
export function instant(at: Wall, zone: string): number {
  const asUtc = Date.UTC(at.year, at.month - 1, at.day, at.hour, at.minute, at.second, at.millisecond);
  const before = offset(asUtc - DAY, zone);
  const after = offset(asUtc + DAY, zone);
  for (const ahead of [before, after]) {
    if (offset(asUtc - ahead, zone) === ahead) return asUtc - ahead;
  }
  return asUtc - before;
}

/** Whether a browser knows the zone. */
export function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** The zone of whoever looks. */
export const localZone = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

/** All zones that can be picked. */
export const zones = (): string[] => ['UTC', ...Intl.supportedValuesOf('timeZone').filter((zone) => zone !== 'UTC')];

const two = (value: number): string => String(value).padStart(2, '0');

/** `2026-11-21`. */
export function date(time: number, zone: string): string {
  const at = wall(time, zone);
  return `${String(at.year).padStart(4, '0')}-${two(at.month)}-${two(at.day)}`;
}

/** `12:03:22`, with so many digits of a second. */
export function clock(time: number, zone: string, digits = 0): string {
  // The digit that is shown is rounded; the second must know.
  const unit = SECOND / 10 ** digits;
  const rounded = Math.round(time / unit) * unit;
  const at = wall(rounded, zone);
  const fraction = digits > 0 ? `.${String(Math.round(at.millisecond)).padStart(3, '0').slice(0, digits)}` : '';
  return `${two(at.hour)}:${two(at.minute)}:${two(at.second)}${fraction}`;
}

/** `2026-11-21 12:03:22`. */
export const dateAndClock = (time: number, zone: string, digits = 0): string => `${date(time, zone)} ${clock(time, zone, digits)}`;

/** `UTC+01:00`, as it is at that instant. */
export function offsetName(time: number, zone: string): string {
  const minutes = Math.round(offset(time, zone) / MINUTE);
  if (minutes === 0) return 'UTC';
  return `UTC${minutes < 0 ? '−' : '+'}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
}

/** What a person typed: `2026-11-21 12:03[:22[.5]]`, `2026-11-21T12:03:22Z`, or only `12:03`, on the day of `near`. Null if it is no time. */
export function parseTime(text: string, zone: string, near: number): number | null {
  const trimmed = text.trim();
  if (/(Z|[+-]\d\d:?\d\d)$/i.test(trimmed) && /\d{4}-\d\d-\d\d[T ]/.test(trimmed)) {
    const time = Date.parse(trimmed.replace(' ', 'T'));
    return Number.isFinite(time) ? time : null;
  }
  const parts = /^(?:(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ]+|$))?(?:(\d{1,2}):(\d\d)(?::(\d\d)(\.\d{1,9})?)?)?$/.exec(trimmed);
  if (!parts || trimmed === '') return null;
  const today = wall(near, zone);
  const field = (place: number, otherwise: number): number => (parts[place] === undefined ? otherwise : Number(parts[place]));
  const at: Wall = {
    year: field(1, today.year), month: field(2, today.month), day: field(3, today.day),
    hour: field(4, 0), minute: field(5, 0), second: field(6, 0), millisecond: Math.round(field(7, 0) * 1000),
  };
  if (at.month < 1 || at.month > 12 || at.day < 1 || at.day > 31 || at.hour > 24 || at.minute > 59 || at.second > 60) return null;
  return instant(at, zone);
}

export interface Tick { at: number; label: string; /** The day, where it changes. */ day: string | null }

const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500,
  SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 30 * SECOND,
  MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR,
];
const DAYS = [1, 2, 7, 14, 28, 91, 182, 365];

/** Ticks at round times of the zone's clocks, no more than so many. */
export function ticks({ from, to }: Stretch, zone: string, most: number): Tick[] {
  const length = to - from;
  const step = STEPS.find((candidate) => length / candidate <= most);
  const found: number[] = [];
  if (step !== undefined && step <= MINUTE) {
    // Offsets of zones are whole minutes in our days; below that, UTC is round enough.
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
  } else if (step !== undefined) {
    // Each wall time in its own right: the hours of a day whose clocks are changed are labelled as clocks show them.
    let day = wall(from, zone);
    for (let midnight = startOfDay(day, zone); midnight <= to; midnight = startOfDay(day, zone)) {
      const next = { ...day, ...civil(Date.UTC(day.year, day.month - 1, day.day + 1)) };
      const end = startOfDay(next, zone);
      let last = -Infinity;
      const stride = Math.min(step, 15 * MINUTE);
      for (let at = midnight + Math.max(0, Math.floor((from - midnight) / stride)) * stride; at < end && at <= to; at += stride) {
        const shown = wall(at, zone);
        const sinceMidnight = shown.hour * HOUR + shown.minute * MINUTE;
        if (sinceMidnight % step === 0 && at >= from && at <= to && at - last >= step / 2) {
          found.push(at);
          last = at;
        }
      }
      day = next;
    }
  } else {
    const days = DAYS.find((candidate) => length / (candidate * DAY) <= most) ?? Math.ceil(length / DAY / most);
    const first = wall(from, zone);
    let number = Math.ceil(Date.UTC(first.year, first.month - 1, first.day) / DAY / days) * days;
    for (; ; number += days) {
      const at = startOfDay({ ...first, ...civil(number * DAY) }, zone);
      if (at > to) break;
      if (at >= from) found.push(at);
    }
  }
  let shownDay = date(from, zone);
  return found.map((at) => {
    const today = date(at, zone);
    const day = today === shownDay ? null : today;
    shownDay = today;
    const label = step === undefined ? today : step < SECOND ? clock(at, zone, 3) : step < MINUTE ? clock(at, zone) : clock(at, zone).slice(0, 5);
    return { at, label, day };
  });
}

const civil = (utc: number): { year: number; month: number; day: number } => {
  const at = new Date(utc);
  return { year: at.getUTCFullYear(), month: at.getUTCMonth() + 1, day: at.getUTCDate() };
};

const startOfDay = (at: Wall, zone: string): number => instant({ ...at, hour: 0, minute: 0, second: 0, millisecond: 0 }, zone);
