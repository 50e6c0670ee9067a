// The time axis of everything below it. It stays in sight.
import { timeTicks } from '../charts/panel.tsx';
import { fraction, instantAt, width } from '../charts/surface.tsx';
import { duration } from '../numbers.ts';
import { comparedWith, cursor, follow, following, hovering, live, moment, range, resetView, smoothing, view, whole, zoneName } from '../state.ts';
import { clock, date, offsetName } from '../time.ts';
import { Icon, TimeRow } from '../ui/ui.tsx';

/** How many digits of a second are of use when a pixel is so long. */
const digits = (): number => {
  const pixel = (view.value.to - view.value.from) / Math.max(1, width.value);
  return pixel >= 1000 ? 0 : pixel >= 100 ? 1 : pixel >= 10 ? 2 : 3;
};

export function Ruler() {
  const { from, to } = view.value;
  const zone = zoneName.value;
  const all = whole.value;
  const zoomed = from > all.from || to < all.to - 1500 || range.value?.kind === 'free';
  return (
    <div class="ruler">
      <TimeRow
        gutter={<span class="ruler-zone" title={`Times are those of ${zone}`}>{offsetName(from, zone).replace(/^UTC(?=.)/, '')}</span>}
        side={
          <div class="ruler-side">
            <span class="ruler-range" title="What is looked at">{date(from, zone)} · {duration((to - from) / 1000)}</span>
            {smoothing.value > 1 && <span class="tag-soft" title="Curves, and values at the cursor, are means over so many samples; means and peaks are not">smoothed ×{smoothing.value}</span>}
            {live.value && !following.value && !(hovering.value && range.value?.kind !== 'free') && (
              <button type="button" class="primary small" onClick={follow}><Icon name="play" size={12} /> Follow</button>
            )}
            {zoomed && <button type="button" class="small" title="All of it (0, or a double click)" onClick={resetView}><Icon name="reset" size={12} /> Reset</button>}
          </div>
        }
        height={28}
      >
        {timeTicks.value.map(({ at, label, day }) => {
          const part = fraction(at);
          return (
            <span key={at} class={`ruler-tick${part > 0.96 ? ' last' : part < 0.03 ? ' first' : ''}`} style={{ left: `${part * 100}%` }}>
              {day && day !== label ? <b>{day.slice(5)}</b> : null} {label}
            </span>
          );
        })}
        {comparedWith.value !== null && <Pill at={comparedWith.value} kind="compared" />}
        {moment.value !== null && <Pill at={moment.value} kind="moment" />}
        {cursor.value !== null && <Pill at={cursor.value} kind="cursor" />}
      </TimeRow>
    </div>
  );
}

function Pill({ at, kind }: { at: number; kind: string }) {
  const part = fraction(at);
  if (part < 0 || part > 1) return null;
  const half = 44 / Math.max(1, width.value);
  return <span class={`pill ${kind}`} style={{ left: `${Math.min(1 - half, Math.max(half, part)) * 100}%` }}>{clock(instantAt(part), zoneName.value, digits())}</span>;
}
