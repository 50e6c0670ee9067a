// What matters most, as a number with a small curve each.
import type { Card, Frame, Line } from '../api.ts';
import { valueAt } from '../charts/legend.tsx';
import { useFetched } from '../charts/fetch.ts';
import { amount } from '../numbers.ts';
import { activeRange, dark, focus, live, panelChoice, panels, run, shownRuns, source, view, zoneName } from '../state.ts';
import { MINUTE, clock } from '../time.ts';

/** How many points a small curve has. */
const POINTS = 96;

export function Cards() {
  const cards = run.value?.cards ?? [];
  const { value } = useFetched<Frame>(() => {
    const shown = shownRuns.value[0];
    const { from, to } = view.value;
    if (!shown || shown.run.cards.length === 0) return null;
    const at = source.value;
    const query = { from: from - shown.offset, to: to - shown.offset, buckets: POINTS, specs: shown.run.cards.map(({ spec }) => spec) };
    return (abort) => at.frame(shown.id, query, abort);
  }, [], 120);
  if (!run.value) return <section class="cards" aria-hidden="true">{Array.from({ length: 6 }, (_, at) => <div key={at} class="card skeleton" />)}</section>;
  if (cards.length === 0) return null;
  return (
    <section class="cards" aria-label="Key figures">
      {cards.map((card, at) => <One key={card.title} card={card} line={value.value?.lines.find(({ spec }) => spec === at) ?? null} offset={shownRuns.value[0]?.offset ?? 0} />)}
    </section>
  );
}

function One({ card, line, offset }: { card: Card; line: Line | null; offset: number }) {
  const unit = line?.unit ?? card.unit;
  const summary = line?.summary;
  const go = (): void => {
    if (!panels.peek().some(({ id }) => id === card.panel)) panelChoice.value = { shown: [...panels.peek().map(({ id }) => id), card.panel], hidden: panelChoice.peek()?.hidden ?? [] };
    requestAnimationFrame(() => document.querySelector(`[data-panel="${CSS.escape(card.panel)}"]`)?.scrollIntoView({ block: 'center', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' }));
  };
  const long = view.value.to - view.value.from > 10 * MINUTE;
  const peakClock = summary?.peakAt == null ? '' : clock(summary.peakAt + offset, zoneName.value);
  const peak = summary?.peak == null ? '' : `peak ${amount(summary.peak, unit)}${peakClock && ` at ${peakClock}`}`;
  const short = summary?.peak == null ? '\u00a0' : `peak ${amount(summary.peak, unit)}${peakClock && ` ${long ? peakClock.slice(0, 5) : peakClock}`}`;
  return (
    <button type="button" class="card" title={`${peak}. Click to see its chart.`} onClick={go}>
      <span class="card-title">{card.title}</span>
      <span class="card-how"><How /></span>
      <Value line={line} unit={unit} offset={offset} />
      <Spark line={line} />
      <span class="card-peak">{short}</span>
    </button>
  );
}

/** The value at the cursor; else the newest of what grows, and the mean of what has ended. */
function Value({ line, unit, offset }: { line: Line | null; unit: Card['unit']; offset: number }) {
  const at = focus.value;
  const isNow = live.value && activeRange.value.kind !== 'free';
  const value = !line ? null : at !== null ? valueAt({ line, mean: line.mean, offset, identity: '', label: '', run: 0 }, at) : isNow ? line.summary.last : line.summary.mean;
  const text = amount(value, unit);
  const split = text.search(/[\s/]/);
  return (
    <span class="card-value">
      {split < 0 ? text : text.slice(0, split)}
      <small>{split < 0 ? '' : text.slice(split)}</small>
    </span>
  );
}

/** What the large number is, where it is not the newest. */
function How() {
  return <>{focus.value !== null || (live.value && activeRange.value.kind !== 'free') ? '' : 'mean'}</>;
}

const WIDE = 120;
const HIGH = 24;

function Spark({ line }: { line: Line | null }) {
  void dark.value;
  const { from, to } = view.value;
  if (!line || line.x.length === 0) return <svg class="spark" viewBox={`0 0 ${WIDE} ${HIGH}`} aria-hidden="true" />;
  const tops = line.mean;
  let highest = 0;
  for (const value of tops) if (value > highest) highest = value;
  const areas: string[] = [];
  const strokes: string[] = [];
  let stroke = '';
  let first = 0;
  let last = 0;
  const close = (): void => {
    if (stroke) {
      strokes.push(`M${stroke}`);
      areas.push(`M${first.toFixed(1)},${HIGH}L${stroke}L${last.toFixed(1)},${HIGH}Z`);
    }
    stroke = '';
  };
  for (let place = 0; place < line.x.length; place += 1) {
    const value = tops[place]!;
    if (Number.isNaN(value)) {
      close();
      continue;
    }
    last = ((line.x[place]! - from) / (to - from)) * WIDE;
    if (!stroke) first = last;
    stroke += `${stroke ? 'L' : ''}${last.toFixed(1)},${(HIGH - (highest > 0 ? value / highest : 0) * (HIGH - 2) - 0.5).toFixed(1)}`;
  }
  close();
  return (
    <svg class="spark" viewBox={`0 0 ${WIDE} ${HIGH}`} preserveAspectRatio="none" aria-hidden="true">
      <path class="spark-area" d={areas.join('')} />
      <path class="spark-line" d={strokes.join('')} vector-effect="non-scaling-stroke" />
    </svg>
  );
}
