// The legend is the tooltip: a table beside the chart with the value at the cursor, the mean and the peak of each line.
import { useComputed, useSignal } from '@preact/signals';
import type { ReadonlySignal, Signal } from '@preact/signals';
import type { Limit, Unit } from '../api.ts';
import { lastAtOrBefore, nearest } from '../frame.ts';
import { ABSENT, amount, bare, inScale } from '../numbers.ts';
import type { Scale } from '../numbers.ts';
import { focus, process, zoneName } from '../state.ts';
import { clock } from '../time.ts';
import { Icon } from '../ui/ui.tsx';
import type { Drawn } from './series.ts';

export interface Row {
  label: string;
  identity: string;
  /** Null for a total. */
  colour: string | null;
  line: Drawn;
  process: { pid: number; startTicks: number } | null;
}

type Order = 'name' | 'at' | 'mean' | 'peak';

/** The value of a line at an instant: that of its bucket, or of the row that lies nearest, if one is near at all. */
export function valueAt({ line, mean, offset }: Drawn, at: number): number | null {
  const { x } = line;
  const place = nearest(x, at - offset);
  if (place < 0) return null;
  const spacing = x.length > 1 ? (x[x.length - 1]! - x[0]!) / (x.length - 1) : 1000;
  const value = mean[place]!;
  return Math.abs(x[place]! - (at - offset)) > Math.max(spacing * 1.5, 50) || Number.isNaN(value) ? null : value;
}

/** The last value that is known. */
function lastValue({ line, mean }: Drawn): number | null {
  let place = lastAtOrBefore(line.x, Infinity);
  if (place < 0 || Number.isNaN(mean[place]!)) place = -1;
  return place < 0 ? null : mean[place]!;
}

export function Legend({ rows, scale, height, isolated, highlighted, live, far, unit }: { rows: Row[]; scale: Scale; height: number; isolated: Signal<ReadonlySet<string>>; highlighted: Signal<string | null>; live: boolean; far: Limit[]; unit: Unit }) {
  const order = useSignal<Order>('mean');
  const sorted = order.value === 'mean' ? rows : [...rows].sort(by(order.value));
  const heading = useComputed(() => (focus.value === null ? (live ? 'now' : 'last') : 'at cursor'));
  const chosen = isolated.value;
  const sort = (key: Order, text: string | ReadonlySignal<string>, name: string) => (
    <th class="number" aria-sort={order.value === key ? 'descending' : 'none'}>
      <button type="button" class="heading" title={`Sort by ${name}`} onClick={() => (order.value = key)}>{text}</button>
    </th>
  );
  return (
    <div class="side legend" style={{ maxHeight: `${height}px` }} onPointerLeave={() => (highlighted.value = null)}>
      <table>
        <thead>
          <tr>
            <th class="name">
              <button type="button" class="heading" title="Sort by name" onClick={() => (order.value = 'name')}>{scale.unit || 'value'}</button>
            </th>
            {sort('at', heading, 'the value at the cursor')}
            {sort('mean', 'mean', 'mean')}
            {sort('peak', 'peak', 'peak')}
          </tr>
        </thead>
        <tbody>
          {sorted.map((row) => (
            <LegendRow key={`${row.line.run}.${row.label}`} row={row} scale={scale} isolated={isolated} highlighted={highlighted} dim={chosen.size > 0 && row.colour !== null && !chosen.has(row.label)} pressed={chosen.has(row.label)} />
          ))}
          {far.map(({ label, value }) => (
            <tr key={label} class="far" title="It lies above what is drawn"><td colSpan={4}><i class="swatch dashed" />{label === 'cores' ? '' : `${label} `}{bare(amount(value, unit))}</td></tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const by = (order: Order) => (one: Row, other: Row): number => {
  // Totals stay on top, and others at the bottom.
  const rank = (row: Row): number => (row.colour === null ? 0 : row.line.line.kind === 'others' ? 2 : 1);
  if (rank(one) !== rank(other)) return rank(one) - rank(other);
  if (order === 'name') return one.label.localeCompare(other.label, 'en', { numeric: true });
  const value = (row: Row): number => (order === 'peak' ? row.line.line.summary.peak : order === 'at' ? (focus.peek() === null ? lastValue(row.line) : valueAt(row.line, focus.peek()!)) : row.line.line.summary.mean) ?? -Infinity;
  return value(other) - value(one);
};

function LegendRow({ row, scale, isolated, highlighted, dim, pressed }: { row: Row; scale: Scale; isolated: Signal<ReadonlySet<string>>; highlighted: Signal<string | null>; dim: boolean; pressed: boolean }) {
  const { line, label, colour, process: who } = row;
  const { mean, peak, peakAt, p95, total } = line.line.summary;
  const more = [p95 == null ? '' : `95 % of the time below ${amount(p95, line.line.unit)}`, total == null ? '' : `total ${inTotal(total, line.line.unit)}`].filter(Boolean).join('; ');
  const isolate = (several: boolean): void => {
    const now = isolated.peek();
    if (several) {
      const next = new Set(now);
      if (!next.delete(label)) next.add(label);
      isolated.value = next;
    } else isolated.value = now.size === 1 && now.has(label) ? new Set() : new Set([label]);
  };
  return (
    <tr class={dim ? 'dim' : ''} title={more} onPointerEnter={() => (highlighted.value = colour === null ? null : label)}>
      <td class="name">
        {colour === null ? (
          <span class="total">{label}</span>
        ) : (
          <button type="button" class="row-name" aria-pressed={pressed} title={`${label}: click to see it alone, with Ctrl to add it${more && `; ${more}`}`} onClick={(event) => isolate(event.ctrlKey || event.metaKey)} onFocus={() => (highlighted.value = label)} onBlur={() => (highlighted.value = null)}>
            <i class="swatch" style={{ background: colour }} />
            <span class="text">{label}</span>
          </button>
        )}
        {who && (
          <button type="button" class="quiet go" aria-label={`Life of ${label}`} title="Its life" onClick={() => (process.value = who)}><Icon name="right" size={12} /></button>
        )}
      </td>
      <td class="number at"><At line={line} scale={scale} /></td>
      <td class="number">{inScale(mean, scale)}</td>
      <td class="number" title={peakAt == null ? undefined : `at ${clock(peakAt + line.offset, zoneName.value)}`}>{peak == null ? ABSENT : inScale(peak, scale)}</td>
    </tr>
  );
}

/** The value at the cursor; alone, so that nothing else is made anew as the cursor moves. */
function At({ line, scale }: { line: Drawn; scale: Scale }) {
  const at = focus.value;
  return <>{inScale(at === null ? lastValue(line) : valueAt(line, at), scale)}</>;
}

function inTotal(total: number, unit: Unit): string {
  switch (unit) {
    case 'cores': return `${amount(total, 'seconds')} of CPU`;
    case 'bytes_per_second': return amount(total, 'bytes');
    case 'per_second': return amount(total, 'count');
    case 'ratio': return amount(total, 'seconds');
    default: return amount(total, unit);
  }
}
