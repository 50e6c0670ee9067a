// What changed between two moments: processes that came, that went, and that are not as they were.
import type { ProcessRow } from '../api.ts';
import { identity } from './rows.ts';

export type Change = 'added' | 'gone' | 'changed' | 'same';

/** A process at both moments, absent where it was not there. */
export interface Changed {
  id: string;
  change: Change;
  /** As it is to be named: as it was last. */
  row: ProcessRow;
  before: ProcessRow | null;
  after: ProcessRow | null;
  cores: number | null;
  resident: number | null;
  threads: number | null;
  read: number | null;
  written: number | null;
}

/** Less of a core than this is noise of the clock's ticks. */
const SAME_CORES = 0.005;

/** Compares `before` with `after`: added first, then gone, then changed by how much memory and CPU, then the same. */
export function compare(before: readonly ProcessRow[], after: readonly ProcessRow[]): Changed[] {
  const old = new Map(before.map((row) => [identity(row), row]));
  const all: Changed[] = after.map((row) => {
    const was = old.get(identity(row)) ?? null;
    old.delete(identity(row));
    return changed(was, row, row);
  });
  for (const row of old.values()) all.push(changed(row, null, row));
  const rank: Record<Change, number> = { added: 0, gone: 1, changed: 2, same: 3 };
  return all.sort((a, b) => rank[a.change] - rank[b.change] || weight(b) - weight(a) || a.row.pid - b.row.pid);
}

function changed(before: ProcessRow | null, after: ProcessRow | null, row: ProcessRow): Changed {
  const by = (value: (row: ProcessRow) => number | null): number | null => {
    const [one, other] = [before && value(before), after && value(after)];
    // Who was not there had nothing; who was there and could not be read had we don't know what.
    if ((before && one === null) || (after && other === null)) return null;
    return (other ?? 0) - (one ?? 0);
  };
  const figures = { cores: by((each) => each.cores), resident: by((each) => each.residentBytes), threads: by((each) => each.threads), read: by((each) => each.read), written: by((each) => each.written) };
  const moved = Math.abs(figures.cores ?? 0) >= SAME_CORES || Boolean(figures.resident) || Boolean(figures.threads) || Math.abs(figures.read ?? 0) >= 1 || Math.abs(figures.written ?? 0) >= 1
    || (before !== null && after !== null && (before.name !== after.name || before.command !== after.command || before.parentPid !== after.parentPid));
  const change = before === null ? 'added' : after === null ? 'gone' : moved ? 'changed' : 'same';
  return { id: identity(row), change, row, before, after, ...figures };
}

/** A core counts like a gigabyte. */
function weight(row: Changed): number {
  return Math.abs(row.cores ?? 0) + Math.abs(row.resident ?? 0) / 1e9;
}

/** How many of each. */
export function counts(all: readonly Changed[]): Record<Change, number> {
  const result: Record<Change, number> = { added: 0, gone: 0, changed: 0, same: 0 };
  for (const each of all) result[each.change] += 1;
  return result;
}
