// The time axis of everything below it. It stays in sight.
import { useComputed } from '@preact/signals';
import { Columns, columnName } from '../charts/columns.tsx';
import { calmView, fraction, useLabelWidth, useSheet, useTicks } from '../charts/sheet.ts';
import { duration } from '../numbers.ts';
import { comparedWith, cursor, follow, following, hovering, live, moment, range, resetView, sideBySide, smoothing, view, whole, zoneName } from '../state.ts';
import { clock, date, offsetName } from '../time.ts';
import { Icon, TimeRow } from '../ui/ui.tsx';

/** How many digits of a second are of use when a pixel is so long. */
const digits = (length: number, width: number): number => {
  const pixel = length / Math.max(1, width);
  return pixel >= 1000 ? 0 : pixel >= 100 ? 1 : pixel >= 10 ? 2 : 3;
};

export function Ruler() {
  const { from, to } = calmView.value;
  const zone = zoneName.value;
  const zoomed = useComputed(() => view.value.from > whole.value.from || view.value.to < whole.value.to - 1500 || range.value?.kind === 'free').value;
  const isFree = useComputed(() => range.value?.kind === 'free').value;
  const offset = <span class="ruler-zone" title={`Times are those of ${zone}`}>{offsetName(from, zone).replace(/^UTC(?=.)/, '')}</span>;
  const side = (
    <div class="ruler-side">
      <span class="ruler-range" title="What is looked at">{date(from, zone)} · {duration((to - from) / 1000)}</span>
      {smoothing.value > 1 && <span class="tag-soft" title="Curves, and values at the cursor, are means over so many samples; means and peaks are not">smoothed ×{smoothing.value}</span>}
      {live.value && !following.value && !(hovering.value && !isFree) && (
        <button type="button" class="primary small" onClick={follow}><Icon name="play" size={12} /> Follow</button>
      )}
      {zoomed && <button type="button" class="small" title="All of it (0, or a double click)" onClick={resetView}><Icon name="reset" size={12} /> Reset</button>}
    </div>
  );
  if (sideBySide.value) {
    return (
      <div class="ruler of-columns">
        {side}
        <Columns>{(shown, place) => <><b class="column-name" title={shown.run.path}>{columnName(shown, place)}</b><TimeRow gutter={offset} height={24}><Scale /></TimeRow></>}</Columns>
      </div>
    );
  }
  return <div class="ruler"><TimeRow gutter={offset} side={side} height={28}><Scale /></TimeRow></div>;
}

/** How wide a letter of a label is, and a day before it. */
const LETTER = 7;
const DAY = 36;

function Scale() {
  const { on } = useSheet();
  const width = useLabelWidth();
  let free = -Infinity;
  return (
    <>
      {useTicks().map(({ at, label, day }) => {
        const part = fraction(at, on);
        const says = day && day !== label ? `${day.slice(5)} ` : '';
        const wide = label.length * LETTER + (says ? DAY : 0);
        // At the edges labels stand beside their time, so that the whole of them is seen; one that would touch the one before is left out.
        const place = part > 1 - wide / 2 / width ? 'last' : part < wide / 2 / width ? 'first' : '';
        const left = part * width - (place === 'last' ? wide : place === 'first' ? 0 : wide / 2);
        if (left < free) return null;
        free = left + wide + 4;
        return (
          <span key={at} class={`ruler-tick ${place}`} style={{ left: `${part * 100}%` }}>
            {says && <b>{says}</b>}{label}
          </span>
        );
      })}
      {comparedWith.value !== null && <Pill at={comparedWith.value} kind="compared" />}
      {moment.value !== null && <Pill at={moment.value} kind="moment" />}
      {cursor.value !== null && <Pill at={cursor.value} kind="cursor" />}
    </>
  );
}

function Pill({ at, kind }: { at: number; kind: string }) {
  const { on, wide } = useSheet();
  const width = Math.max(1, wide);
  const part = fraction(at, on);
  if (part < 0 || part > 1) return null;
  const half = 44 / width;
  return <span class={`pill ${kind}`} style={{ left: `${Math.min(1 - half, Math.max(half, part)) * 100}%` }}>{clock(at, zoneName.value, digits(on.to - on.from, width))}</span>;
}
