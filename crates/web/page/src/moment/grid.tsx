// A tree grid for any number of rows: only those in sight are in the document, and the keyboard walks all of them.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';

export interface GridColumn<T> {
  id: string;
  title: string;
  /** Stands once, beside the title. */
  unit?: string;
  help?: string;
  /** As in `grid-template-columns`. */
  width: string;
  align?: 'end';
  cell(row: T): ComponentChildren;
  /** What a cell says when the pointer rests on it. */
  hint?(row: T): string | undefined;
}

/** What a row is to the grid, beside what its cells say. */
export interface GridRow { id: string; level: number; open: boolean | null; dimmed?: boolean; tone?: string; position: number; siblings: number }

export interface GridProps<T extends GridRow> {
  label: string;
  columns: readonly GridColumn<T>[];
  /** The column that is indented, and has what opens and folds. */
  tree: string | null;
  rows: readonly T[];
  selected: string | null;
  sorted: { column: string; descending: boolean } | null;
  /** What stands there if there are no rows. */
  empty: ComponentChildren;
  onSelect(row: T): void;
  onSort?(column: string): void;
  onFold?(id: string, open: boolean): void;
  /** Where a key leads; null if it is none. */
  onKey(selected: number, key: string, page: number): { select: number } | { fold: string } | { unfold: string } | null;
}

const ROW = 24;
const OVERSCAN = 8;

let grids = 0;

export function Grid<T extends GridRow>(props: GridProps<T>): ComponentChildren {
  const { columns, rows, selected } = props;
  const box = useRef<HTMLDivElement>(null);
  const [name] = useState(() => `grid${(grids += 1)}`);
  const [seen, setSeen] = useState({ top: 0, height: 480 });
  const [current, setCurrent] = useState<string | null>(null);
  const at = Math.max(0, rows.findIndex((row) => row.id === (current ?? selected)));

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const look = (): void => setSeen({ top: element.scrollTop, height: element.clientHeight });
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    element.addEventListener('scroll', look, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', look);
    };
  }, []);

  const reveal = (index: number): void => {
    const element = box.current;
    if (!element) return;
    const [top, bottom] = [index * ROW, (index + 2) * ROW];
    if (top < element.scrollTop) element.scrollTop = top;
    else if (bottom > element.scrollTop + element.clientHeight) element.scrollTop = bottom - element.clientHeight;
  };

  const key = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const row = rows[at];
    if (event.key === 'Enter' || event.key === ' ') {
      if (row) props.onSelect(row);
    } else {
      const move = props.onKey(at, event.key, Math.max(1, Math.floor(seen.height / ROW) - 2));
      if (!move) return;
      if ('select' in move) {
        const next = rows[move.select];
        if (next) setCurrent(next.id);
        reveal(move.select);
      } else if ('fold' in move) props.onFold?.(move.fold, false);
      else props.onFold?.(move.unfold, true);
    }
    event.preventDefault();
    event.stopPropagation();
  };

  const first = Math.max(0, Math.floor(seen.top / ROW) - OVERSCAN);
  const last = Math.min(rows.length, Math.ceil((seen.top + seen.height) / ROW) + OVERSCAN);
  const template = columns.map((column) => column.width).join(' ');
  return (
    <div
      class="treegrid"
      ref={box}
      role="treegrid"
      aria-label={props.label}
      aria-rowcount={rows.length + 1}
      aria-colcount={columns.length}
      aria-activedescendant={rows[at] ? `${name}-${rows[at].id}` : undefined}
      tabIndex={0}
      onKeyDown={key}
    >
      <div class="grid-row grid-head" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
        {columns.map((column) => {
          const sorted = props.sorted?.column === column.id ? (props.sorted.descending ? 'descending' : 'ascending') : undefined;
          return (
            <div role="columnheader" class={column.align} key={column.id} aria-sort={sorted} title={column.help}>
              {props.onSort ? (
                <button type="button" tabIndex={-1} onClick={() => props.onSort?.(column.id)}>
                  <span>{column.title}{column.unit ? <span class="unit"> {column.unit}</span> : null}</span>
                  <span class="sort" aria-hidden="true">{sorted === 'descending' ? '▾' : sorted === 'ascending' ? '▴' : ''}</span>
                </button>
              ) : (
                <>
                  {column.title}
                  {column.unit ? <span class="unit"> {column.unit}</span> : null}
                </>
              )}
            </div>
          );
        })}
      </div>
      {rows.length === 0 ? <div class="grid-empty">{props.empty}</div> : null}
      <div class="grid-body" role="rowgroup" style={{ height: `${rows.length * ROW}px` }}>
        {rows.slice(first, last).map((row, place) => (
          <div
            key={row.id}
            id={`${name}-${row.id}`}
            class={`grid-row${row.id === selected ? ' selected' : ''}${rows[at]?.id === row.id ? ' current' : ''}${row.dimmed ? ' dimmed' : ''}${row.tone ? ` ${row.tone}` : ''}`}
            role="row"
            data-row={row.id}
            aria-rowindex={first + place + 2}
            aria-level={row.level}
            aria-posinset={row.position}
            aria-setsize={row.siblings}
            aria-expanded={row.open ?? undefined}
            aria-selected={row.id === selected}
            style={{ gridTemplateColumns: template, transform: `translateY(${(first + place) * ROW}px)` }}
            onClick={() => {
              setCurrent(row.id);
              props.onSelect(row);
            }}
          >
            {columns.map((column) => (
              <div role="gridcell" key={column.id} class={column.align} data-column={column.id} title={column.hint?.(row)}>
                {column.id === props.tree ? (
                  <span class="twig" style={{ paddingLeft: `${Math.min(row.level - 1, 24) * 14}px` }}>
                    {row.open === null ? (
                      <span class="fold" aria-hidden="true" />
                    ) : (
                      <span
                        class="fold"
                        aria-hidden="true"
                        onClick={(event) => {
                          event.stopPropagation();
                          props.onFold?.(row.id, !row.open);
                        }}
                      >
                        {row.open ? '▾' : '▸'}
                      </span>
                    )}
                  </span>
                ) : null}
                {column.cell(row)}
              </div>
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}
