// From the lines of a frame to what is drawn: what lies on what, smoothed, on common times, and how high the axis goes. Nothing here draws.
import type { Frame, Line, Panel } from '../api.ts';
import { lastAtOrBefore } from '../frame.ts';
import { axisTicks } from '../numbers.ts';
import type { Scale } from '../numbers.ts';
import type { Stretch } from '../time.ts';

/** A line with its place in its panel. */
export interface Drawn {
  /** To whom its colour belongs. */
  identity: string;
  label: string;
  line: Line;
  /** Milliseconds that are added to its times. */
  offset: number;
  /** Which of the runs that are shown it is of. */
  run: number;
  mean: Float64Array;
}

/** Means over so many points around each. Unknown points stay unknown, and count for nothing beside them. */
export function smooth(values: Float64Array, points: number): Float64Array {
  if (points < 2) return values;
  const before = Math.floor((points - 1) / 2);
  const after = points - 1 - before;
  const result = new Float64Array(values.length);
  for (let at = 0; at < values.length; at += 1) {
    if (Number.isNaN(values[at]!)) {
      result[at] = NaN;
      continue;
    }
    let sum = 0;
    let count = 0;
    for (let near = at; near >= Math.max(0, at - before) && !Number.isNaN(values[near]!); near -= 1, count += 1) sum += values[near]!;
    for (let near = at + 1; near <= Math.min(values.length - 1, at + after) && !Number.isNaN(values[near]!); near += 1, count += 1) sum += values[near]!;
    result[at] = sum / count;
  }
  return result;
}

/** Over how many points of a line so many samples go: a bucket that holds more of them is smooth already. */
export function smoothingPoints(samples: number, intervalMs: number, x: ArrayLike<number>): number {
  if (samples < 2 || x.length < 3) return 1;
  const spacing = (x[x.length - 1]! - x[0]!) / (x.length - 1);
  return spacing > 0 ? Math.max(1, Math.min(samples, Math.round((samples * intervalMs) / spacing))) : 1;
}

/** What to draw of a frame. Lines of the spec with that number, if given, are the total and not drawn. */
export function drawn(frame: Frame, { specs }: Pick<Panel, 'specs'>, samples: number, intervalMs: number, offset = 0, run = 0, runName = ''): Drawn[] {
  return frame.lines
    // Others that came to nothing are nobody.
    .filter(({ spec, kind, summary }) => spec < specs.length && (kind !== 'others' || (summary.peak ?? 0) !== 0))
    .map((line): Drawn => {
      const label = line.kind === 'others' ? line.label || 'others' : /^\d+$/.test(line.label) ? `${(specs[line.spec]?.table ?? '').replace(/s$/, '')} ${line.label}` : line.label;
      // Where a run has but one line, its colour is the run's.
      const identity = line.kind === 'others' ? 'others' : runName && specs.length === 1 && specs[0]!.by !== true ? runName : label;
      return { identity, label: !runName ? label : identity === runName ? runName : `${label} · ${runName}`, line, offset, run, mean: smooth(line.mean, smoothingPoints(samples, intervalMs, line.x)) };
    });
}

export type Column = (number | null | undefined)[];

export interface Columns { x: number[]; columns: Column[] }

/** Values of lines on common times. Null is a gap; undefined a time that is only another line's. */
export function align(lines: { x: ArrayLike<number>; offset: number; values: ArrayLike<number> }[]): Columns {
  const first = lines[0];
  if (!first) return { x: [], columns: [] };
  const known = (value: number): number | null => (Number.isNaN(value) ? null : value);
  if (lines.every(({ x, offset }) => x === first.x && offset === first.offset)) {
    return { x: Array.from(first.x, (at) => at + first.offset), columns: lines.map(({ values }) => Array.from(values, known)) };
  }
  const all = new Set<number>();
  for (const { x, offset } of lines) for (let place = 0; place < x.length; place += 1) all.add(x[place]! + offset);
  const x = [...all].sort((a, b) => a - b);
  const places = new Map(x.map((at, place) => [at, place]));
  const columns = lines.map((line) => {
    const column: Column = new Array<number | null | undefined>(x.length).fill(undefined);
    for (let place = 0; place < line.x.length; place += 1) column[places.get(line.x[place]! + line.offset)!] = known(line.values[place]!);
    return column;
  });
  return { x, columns };
}

/** Sums from below: each column with all before it. What is unknown counts as nothing beside what is known; where nothing is known there is no sum. */
export function stacked(columns: Column[]): Column[] {
  const length = columns[0]?.length ?? 0;
  const sum: Column = new Array<number | null | undefined>(length).fill(null);
  const anybody = new Array<boolean>(length).fill(false);
  for (const column of columns) for (let at = 0; at < length; at += 1) if (column[at] != null) anybody[at] = true;
  for (let at = 0; at < length; at += 1) if (anybody[at]) sum[at] = 0;
  return columns.map((column) => {
    for (let at = 0; at < length; at += 1) if (anybody[at]) sum[at] = (sum[at] ?? 0) + (column[at] ?? 0);
    return sum.slice();
  });
}

/** The lowest and the highest of values within a stretch; null if there are none. */
export function extent(x: ArrayLike<number>, values: ArrayLike<number | null | undefined>, { from, to }: Stretch): [number, number] | null {
  let low = Infinity;
  let high = -Infinity;
  // The neighbours on both sides are seen at the edges.
  const begin = Math.max(0, lastAtOrBefore(x, from));
  for (let at = begin; at < x.length; at += 1) {
    const value = values[at];
    if (value != null && !Number.isNaN(value)) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (x[at]! > to) break;
  }
  return low > high ? null : [low, high];
}

export interface Axis { low: number; high: number; ticks: number[] }

/** The vertical axis for such values: from zero, with ticks at round numbers. */
export function axis([low, high]: [number, number], scale: Scale, unit: Panel['unit'], most: number): Axis {
  let bottom = Math.min(0, low);
  // A program's own numbers may be far from zero, with all that matters in their last digits.
  if (unit === 'number' && low > 0 && high > low && high - low < low * 0.25) bottom = low - (high - low) * 0.1;
  let top = Math.max(high, 0);
  if (unit === 'ratio' && top > 0.6 && top <= 1) top = 1;
  if (top === bottom) top = bottom + (unit === 'ratio' ? 0.01 : unit === 'cores' ? 0.1 : scale.factor);
  const ticks = axisTicks(bottom, top, most, scale);
  // Up to the next round number if it is near, else a little above what is highest.
  const round = ticks.at(-1) ?? top;
  const above = bottom + (top - bottom) * 1.15 >= round ? round : bottom + (top - bottom) * 1.04;
  const foot = bottom === 0 ? 0 : Math.min(bottom, ticks[0] ?? bottom);
  return { low: foot, high: above, ticks: ticks.filter((tick) => tick <= above * 1.0001 || tick <= 0) };
}

/** The highest that an axis should reach, given how high it was: while live it grows at once, and shrinks only when far too high. */
export function steady(before: number | null, needed: number, live: boolean): number {
  if (!live || before === null || needed > before || needed < before * 0.4) return needed;
  return before;
}
