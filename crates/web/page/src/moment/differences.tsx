// Two moments beside each other: the processes that came, went and changed.
import { useMemo, useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import type { ProcessRow } from '../api.ts';
import { colour } from '../state.ts';
import { columnScale, signed } from './cells.tsx';
import { compare, counts, type Change, type Changed } from './difference.ts';
import { Grid, type GridColumn } from './grid.tsx';
import { COLUMNS, hue, matches, step, title } from './rows.ts';

type Line = Changed & { level: number; open: null; tone: string; position: number; siblings: number };

const WORDS: Record<Change, string> = { added: 'added', gone: 'gone', changed: 'changed', same: 'as it was' };
const SIGNS: Record<Change, string> = { added: '+', gone: '−', changed: '~', same: '' };

export function Differences({ before, after, says, find, selected, onSelect }: { before: readonly ProcessRow[]; after: readonly ProcessRow[]; says: string; find: string; selected: string | null; onSelect(row: ProcessRow): void }): ComponentChildren {
  const all = useMemo(() => compare(before, after), [before, after]);
  const [hidden, setHidden] = useState<ReadonlySet<Change>>(new Set(['same']));
  const [sort, setSort] = useState<{ column: string; descending: boolean } | null>(null);
  const number = counts(all);
  const rows = useMemo(() => {
    const kept = all.filter((each) => !hidden.has(each.change) && matches(each.row, find));
    if (sort) kept.sort(by(sort));
    return kept.map((each, at): Line => ({ ...each, level: 1, open: null, tone: each.change, position: at + 1, siblings: kept.length }));
  }, [all, hidden, find, sort]);
  const columns = useMemo(() => columnsOf(all), [all]);
  return (
    <div class="differences">
      <div class="chips" role="group" aria-label="What is shown">
        <span>{says}</span>
        {(['added', 'gone', 'changed', 'same'] as const).map((change) => (
          <button
            key={change}
            type="button"
            class={`chip ${change}`}
            aria-pressed={!hidden.has(change)}
            onClick={() => {
              const next = new Set(hidden);
              if (!next.delete(change)) next.add(change);
              setHidden(next);
            }}
          >
            {number[change]} {WORDS[change]}
          </button>
        ))}
      </div>
      <Grid
        label="Processes that differ"
        columns={columns}
        tree={null}
        rows={rows}
        selected={selected}
        sorted={sort}
        empty="Nothing differs between the two moments."
        onSelect={(row) => onSelect(row.row)}
        onSort={(column) => setSort(sort?.column !== column ? { column, descending: true } : sort.descending ? { column, descending: false } : null)}
        onKey={(at, key, page) => step(rows as never, at, key, page)}
      />
    </div>
  );
}

const FIGURES = [
  { id: 'cores', title: 'CPU', unit: 'cores', column: 'cores' },
  { id: 'resident', title: 'memory', unit: 'bytes', column: 'resident' },
  { id: 'threads', title: 'threads', unit: 'count', column: 'threads' },
  { id: 'read', title: 'read', unit: 'bytes_per_second', column: 'read' },
  { id: 'written', title: 'written', unit: 'bytes_per_second', column: 'written' },
] as const;

function by(sort: { column: string; descending: boolean }): (a: Changed, b: Changed) => number {
  const sign = sort.descending ? -1 : 1;
  const figure = FIGURES.find((each) => each.id === sort.column);
  const value = (row: Changed): number | string => {
    if (figure) return Math.abs(row[figure.id] ?? -1);
    return sort.column === 'pid' ? row.row.pid : sort.column === 'change' ? row.change : sort.column === 'command' ? (row.row.command ?? '') : title(row.row);
  };
  return (a, b) => {
    const [one, other] = [value(a), value(b)];
    return sign * (typeof one === 'number' && typeof other === 'number' ? one - other : String(one).localeCompare(String(other))) || a.row.pid - b.row.pid;
  };
}

function columnsOf(all: readonly Changed[]): GridColumn<Line>[] {
  return [
    { id: 'change', title: '', width: '84px', cell: (row) => <span class={`change ${row.change}`}>{SIGNS[row.change]} {WORDS[row.change]}</span> },
    { id: 'pid', title: 'pid', width: '72px', align: 'end', cell: (row) => row.row.pid },
    { id: 'process', title: 'process', width: 'minmax(140px, 1fr)', hint: (row) => row.row.command ?? undefined, cell: (row) => <><span class="swatch" aria-hidden="true" style={{ background: colour(hue(row.row)) }} />{title(row.row)}</> },
    ...FIGURES.map((figure): GridColumn<Line> => {
      const value = COLUMNS.find((column) => column.id === figure.column)!.value as (row: ProcessRow) => number | null;
      const scale = columnScale(figure.unit, all.map((row) => row[figure.id]));
      return {
        id: figure.id,
        title: figure.title,
        unit: scale.unit,
        help: 'How much more, or less, it was at the later moment',
        width: '112px',
        align: 'end',
        hint: (row) => `${row.before ? signed(value(row.before), scale).replace('+', '') : 'not there'} → ${row.after ? signed(value(row.after), scale).replace('+', '') : 'not there'} ${scale.unit}`,
        cell: (row) => (row.change === 'same' ? '' : signed(row[figure.id], figure.unit === 'count' ? { factor: 1, unit: '' } : scale).replace(/\.00$/, figure.unit === 'count' ? '' : '.00')),
      };
    }),
    { id: 'command', title: 'command', width: 'minmax(140px, 2fr)', hint: (row) => row.row.command ?? undefined, cell: (row) => row.row.command ?? '' },
  ];
}
