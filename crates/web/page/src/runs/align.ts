// How several runs lie on one time axis: by their start, by the clock, or by a span that each of them has.
import type { Span } from '../api.ts';

export type Align = { by: 'clock' } | { by: 'start' } | { by: 'span'; name: string };

/** A run to be placed. */
export interface Placeable { id: string; from: number; to: number; spans?: readonly Pick<Span, 'name' | 'from'>[] }

/** By how many milliseconds each run is moved so that it fits the first; null where it has no such span. */
export function offsets(runs: readonly Placeable[], align: Align): (number | null)[] {
  const anchor = (run: Placeable): number | null => {
    if (align.by === 'start') return run.from;
    if (align.by === 'clock') return 0;
    const begins = (run.spans ?? []).filter((span) => span.name === align.name).map((span) => span.from);
    return begins.length === 0 ? null : Math.min(...begins);
  };
  const first = runs[0] ? anchor(runs[0]) : null;
  return runs.map((run) => {
    const own = anchor(run);
    return own === null || first === null ? null : first - own;
  });
}

/** The time that all of them take together once moved. */
export function together(runs: readonly Placeable[], moved: readonly (number | null)[]): { from: number; to: number } | null {
  const placed = runs.flatMap((run, at) => (moved[at] === null || moved[at] === undefined ? [] : [{ from: run.from + moved[at], to: run.to + moved[at] }]));
  if (placed.length === 0) return null;
  return { from: Math.min(...placed.map((each) => each.from)), to: Math.max(...placed.map((each) => each.to)) };
}

/** Names of spans that every run has, by which they could be aligned; in the order of the first. */
export function commonSpans(runs: readonly Placeable[]): string[] {
  const [first, ...others] = runs.map((run) => new Set((run.spans ?? []).map((span) => span.name)));
  return first ? [...first].filter((name) => others.every((other) => other.has(name))) : [];
}

/** Titles by which runs can be told apart: their names, with numbers where those are the same. */
export function titles(names: readonly string[]): string[] {
  return names.map((name, at) => {
    const short = name.replace(/\.(baro|parquet|csv|tsv|jsonl|arrow)$/, '');
    const same = names.filter((each) => each === name).length;
    return same > 1 ? `${short} (${names.slice(0, at + 1).filter((each) => each === name).length})` : short;
  });
}

/** How far a run is from the first, as a share; null where that says nothing. */
export function relative(first: number | null, other: number | null): number | null {
  return first === null || other === null || first === 0 ? null : other / first - 1;
}
