// The processes of a moment as a graph: who began whom, and how many threads or how much memory each has.
import { useMemo, useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import type { ProcessRow } from '../api.ts';
import { amount } from '../numbers.ts';
import { colour } from '../state.ts';
import { curve, layout, type Measure, type Placed } from './layout.ts';
import { forest, hue, identity, matches, title } from './rows.ts';

export function Graph({ rows, measure, find, selected, onSelect }: { rows: readonly ProcessRow[]; measure: Measure; find: string; selected: string | null; onSelect(row: ProcessRow): void }): ComponentChildren {
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set());
  const drawn = useMemo(() => layout(forest(rows), measure, opened), [rows, measure, opened]);
  const says = (value: number | null): string => (measure === 'memory' ? amount(value, 'bytes') : `${amount(value, 'count')} threads`);
  const act = (placed: Placed): void => {
    if (placed.nodes.length > 1) setOpened(new Set(opened).add(placed.id));
    else onSelect(placed.nodes[0]!.row);
  };
  const finds = find.trim() !== '';
  return (
    <div class="graph" role="group" aria-label={`Processes as a graph, sized by ${measure}`}>
      <svg width={drawn.width} height={drawn.height}>
        <g class="graph-edges">{drawn.edges.map((edge) => <path key={edge.to.id} d={curve(edge)} />)}</g>
        {drawn.placed.map((placed) => {
          const row = placed.nodes[0]!.row;
          const isSelected = placed.nodes.length === 1 && identity(row) === selected;
          const dimmed = finds && !placed.nodes.some((node) => matches(node.row, find));
          const name = placed.nodes.length > 1 ? `${placed.nodes.length} processes ${title(row)}: ${says(placed.value)} together. Open.` : `${title(row)}, pid ${row.pid}: ${says(placed.value)}`;
          return (
            <g
              key={placed.id}
              class={`graph-node${isSelected ? ' selected' : ''}${dimmed ? ' dimmed' : ''}`}
              role="button"
              tabIndex={0}
              aria-label={name}
              aria-pressed={placed.nodes.length === 1 ? isSelected : undefined}
              data-row={placed.nodes.length === 1 ? identity(row) : undefined}
              onClick={() => act(placed)}
              onKeyDown={(event) => {
                if (event.key !== 'Enter' && event.key !== ' ') return;
                event.preventDefault();
                act(placed);
              }}
            >
              <title>{placed.nodes.length > 1 ? name : `${name}\n${row.command ?? ''}`}</title>
              <circle cx={placed.x} cy={placed.y} r={placed.radius} style={{ fill: colour(hue(row)) }} />
              <text x={placed.x + placed.radius + 5} y={placed.y} dominant-baseline="central">{placed.label}</text>
            </g>
          );
        })}
      </svg>
    </div>
  );
}
