// Processes as a grid: as a table or as a tree, sorted, folded and filtered.
import { useMemo, useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import type { ProcessRow } from '../api.ts';
import { colour } from '../state.ts';
import { formats } from './cells.tsx';
import { Grid, type GridColumn } from './grid.tsx';
import { type ColumnId, COLUMNS, hue, type Shown, type Sort, step, table, title, tree, withSums } from './rows.ts';

const WIDTHS: Record<ColumnId, string> = {
  pid: '72px', process: 'minmax(150px, 1.2fr)', cores: '88px', resident: '104px', read: '104px', written: '104px', threads: '80px', waiting: '88px', age: '96px', command: 'minmax(160px, 2fr)',
};

export interface ProcessesProps {
  label: string;
  rows: readonly ProcessRow[];
  asTree: boolean;
  summed: boolean;
  find: string;
  selected: string | null;
  empty: ComponentChildren;
  onSelect(row: ProcessRow): void;
}

/** What is chosen stays chosen while the moment changes. */
export function Processes(props: ProcessesProps): ComponentChildren {
  const [sort, setSort] = useState<Sort>({ column: 'cores', descending: true });
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const summed = props.asTree && props.summed;
  const shown = useMemo(() => (props.asTree ? tree : table)(props.rows, { sort, find: props.find, folded }), [props.rows, props.asTree, props.find, sort, folded]);
  const columns = useMemo(() => {
    const told = (row: Shown): ProcessRow => (summed ? withSums(row) : row.row);
    const written = formats(shown.map(told));
    const hasCommand = props.rows.some((row) => row.command !== null);
    return COLUMNS.filter((column) => column.id !== 'command' || hasCommand).map((column): GridColumn<Shown> => {
      const isText = column.unit === 'text';
      return {
        id: column.id,
        title: column.title,
        unit: written[column.id].unit,
        help: column.help,
        width: WIDTHS[column.id],
        align: isText ? undefined : 'end',
        hint: (row) => (column.id === 'process' ? hint(row.row) : column.id === 'command' ? (row.row.command ?? undefined) : undefined),
        cell: (row) => {
          if (column.id === 'process') {
            return (
              <>
                {isKernels(row.row) ? <span class="swatch plain" aria-hidden="true" /> : <span class="swatch" aria-hidden="true" style={{ background: colour(hue(row.row)) }} />}
                {title(row.row)}
                {row.open === false ? <span class="folded"> +{row.descendants}</span> : null}
                {row.row.state === 'Z' ? <span class="tag">zombie</span> : null}
              </>
            );
          }
          return written[column.id].text(column.value(told(row)));
        },
      };
    });
  }, [shown, summed]);

  const onFold = (id: string, open: boolean): void => {
    const next = new Set(folded);
    if (open) next.delete(id);
    else next.add(id);
    setFolded(next);
  };
  return (
    <Grid
      label={props.label}
      columns={columns}
      tree={props.asTree ? 'process' : null}
      rows={shown}
      selected={props.selected}
      sorted={sort}
      empty={props.empty}
      onSelect={(row) => props.onSelect(row.row)}
      onSort={(id) => {
        const column = COLUMNS.find((each) => each.id === id);
        if (!column) return;
        // Numbers are asked for from the top, names from A.
        const first = column.unit !== 'text' && column.unit !== 'id';
        setSort(sort.column === column.id ? { column: column.id, descending: !sort.descending } : { column: column.id, descending: first });
      }}
      onFold={onFold}
      onKey={(selected, key, page) => step(shown, selected, key, page)}
    />
  );
}

/** Threads of the kernel have neither memory nor a command, and are many. */
const isKernels = (row: ProcessRow): boolean => !row.command && !row.residentBytes && !row.inJob;

function hint(row: ProcessRow): string {
  return [title(row), `pid ${row.pid}`, row.user && `of ${row.user}`, row.inJob && 'of the job', row.command && `\n${row.command}`].filter(Boolean).join(' · ').replace(' · \n', '\n');
}

