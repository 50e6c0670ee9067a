// Spans as slices in lanes: one lane for each thread, nested ones below each other, those too short to see drawn as one.
import type { Span } from '../api.ts';
import type { Stretch } from '../time.ts';

/** The slices of one thread. */
export interface Lane {
  id: string;
  pid: number | null;
  thread: number | null;
  /** From the outermost down; each in the order of time, none on top of another. */
  rows: Placed[][];
}

export interface Placed { span: Span; from: number; to: number }

/** What is drawn: one span, or several that are too short to be told apart. */
export interface Slice {
  /** In pixels from the left edge of the window; cut off at its edges. */
  x: number;
  width: number;
  spans: Span[];
  /** It goes on beyond the edge. */
  cutLeft: boolean;
  cutRight: boolean;
}

/** Puts spans in lanes, by thread. An open span reaches to `end`. Tasks of one thread may overlap, so a span takes the first free row below its parent's. */
export function stack(spans: readonly Span[], end: number): Lane[] {
  const lanes = new Map<string, Lane>();
  const rowOf = new Map<string, { lane: Lane; row: number }>();
  const placed = spans.map((span): Placed => ({ span, from: span.from, to: Math.max(span.from, span.to ?? end) }));
  placed.sort((a, b) => a.from - b.from || b.to - a.to || a.span.depth - b.span.depth);
  for (const each of placed) {
    const { pid, thread } = each.span;
    const id = `${pid ?? '?'}.${thread ?? '?'}`;
    let lane = lanes.get(id);
    if (!lane) lanes.set(id, (lane = { id, pid, thread, rows: [] }));
    const parent = each.span.parent === null ? undefined : rowOf.get(each.span.parent);
    let row = parent?.lane === lane ? parent.row + 1 : 0;
    while (!isFree(lane.rows[row], each)) row += 1;
    (lane.rows[row] ??= []).push(each);
    rowOf.set(each.span.id, { lane, row });
  }
  for (const lane of lanes.values()) for (let row = 0; row < lane.rows.length; row += 1) lane.rows[row] ??= [];
  return [...lanes.values()];
}

function isFree(row: Placed[] | undefined, wanted: Placed): boolean {
  const last = row?.[row.length - 1];
  return !last || (last.to <= wanted.from && (last.from < wanted.from || last.to > last.from));
}

/** Names lanes, as briefly as they can be told apart and in full: a thread with its process's id is its main one. */
export function laneTitle(lane: Lane, lanes: readonly Lane[]): { brief: string; full: string } {
  const isMain = lane.thread !== null && lane.thread === lane.pid;
  const several = new Set(lanes.map((each) => each.pid)).size > 1;
  const full = [lane.pid === null ? 'a process that is not known' : `process ${lane.pid}`, isMain ? 'main thread' : lane.thread === null ? 'a thread that is not known' : `thread ${lane.thread}`].join(', ');
  return { brief: isMain && !several ? 'main' : String(lane.thread ?? lane.pid ?? '?'), full };
}

/**
 * Names what is followed in steps: while it stays the same, nothing would be seen of newer spans. They are two pixels wide at least; and where there are very many, each answer is long, and
 * none is told from its neighbours.
 */
export function due({ from, to }: Stretch, width: number, count: number): string {
  const least = Math.max(1000, (2 * (to - from)) / Math.max(1, width), count * 2);
  // As a run grows, the steps do not.
  const step = 2 ** Math.ceil(Math.log2(least));
  return `${step} ${Math.floor(from / step)} ${Math.floor(to / step)}`;
}

/** Slices narrower than this are not told apart. */
const NARROW = 3;
/** And join what is less than this away from them. */
const CLOSE = 1;

/** The slices of a row within a window of `width` pixels. */
export function slices(row: readonly Placed[], from: number, to: number, width: number): Slice[] {
  const scale = width / Math.max(1e-9, to - from);
  const result: Slice[] = [];
  let narrow: Slice | null = null;
  for (const each of row) {
    if (each.to < from || each.from > to) continue;
    const left = Math.max(0, (each.from - from) * scale);
    const right = Math.min(width, (each.to - from) * scale);
    const slice: Slice = { x: left, width: right - left, spans: [each.span], cutLeft: each.from < from, cutRight: each.to > to };
    if (slice.width >= NARROW) {
      result.push(slice);
      narrow = null;
    } else if (narrow && left - (narrow.x + narrow.width) < CLOSE) {
      narrow.width = Math.max(narrow.width, right - narrow.x);
      narrow.spans.push(each.span);
      narrow.cutRight ||= slice.cutRight;
    } else {
      result.push((narrow = slice));
      // One alone is to be seen, if there is room before the next.
      slice.width = Math.max(slice.width, 1);
    }
  }
  return result;
}

/** A flag, or several too close to be told apart. */
export interface Flag<T> { x: number; events: T[] }

/** Flags of events within a window; those closer than `apart` pixels are one. */
export function flags<T extends { at: number }>(events: readonly T[], from: number, to: number, width: number, apart = 9): Flag<T>[] {
  const scale = width / Math.max(1e-9, to - from);
  const result: Flag<T>[] = [];
  for (const event of [...events].sort((a, b) => a.at - b.at)) {
    if (event.at < from || event.at > to) continue;
    const x = (event.at - from) * scale;
    const last = result[result.length - 1];
    if (last && x - last.x < apart) last.events.push(event);
    else result.push({ x, events: [event] });
  }
  return result;
}

/** The event before or after a time, for [ and ]. */
export function neighbour<T extends { at: number }>(events: readonly T[], at: number, direction: 1 | -1): T | null {
  let best: T | null = null;
  for (const event of events) {
    if ((event.at - at) * direction <= 0) continue;
    if (!best || (event.at - best.at) * direction < 0) best = event;
  }
  return best;
}
