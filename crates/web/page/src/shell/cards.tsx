// What matters most, as a number with a small curve each.
import type { Card, Frame, Line } from '../api.ts';
import { valueAt } from '../charts/legend.tsx';
import { useFetched } from '../charts/fetch.ts';
import { amount } from '../numbers.ts';
import { activeRange, focus, letter, live, panelChoice, panels, restedView, run, shownRuns, source, zoneName } from '../state.ts';
import type { Shown } from '../state.ts';
import { MINUTE, clock } from '../time.ts';
import type { Stretch } from '../time.ts';

/** How many points a small curve has. */
const POINTS = 96;

const NONE: Stretch = { from: 0, to: 1 };

/** What a card says of one run. */
interface Figure { line: Line | null; shown: Shown; /** What its curve is of; it does not move before there is another. */ of: Stretch }

export function Cards() {
  const { value } = useFetched<{ shown: Shown; of: Stretch; frame: Frame }[]>(() => {
    const { from, to } = restedView.value;
    const asked = shownRuns.value.filter(({ run }) => run.cards.length > 0);
    if (asked.length === 0) return null;
    const at = source.value;
    return (abort) => Promise.all(asked.map(async (shown) => ({ shown, of: { from, to }, frame: await at.frame(shown.id, { from: from - shown.offset, to: to - shown.offset, buckets: POINTS, specs: shown.run.cards.map(({ spec }) => spec) }, abort) })));
  }, [], 120);
  if (!run.value) return <section class="cards" aria-hidden="true">{Array.from({ length: 6 }, (_, at) => <div key={at} class="card skeleton" />)}</section>;
  const runs = shownRuns.value;
  const cards = runs.flatMap((shown) => shown.run.cards).filter((card, at, all) => all.findIndex(({ title }) => title === card.title) === at);
  if (cards.length === 0) return null;
  const answers = new Map(value.value?.map((answer) => [answer.shown.id, answer]));
  const figures = (title: string): Figure[] => runs.map((now) => {
    const answer = answers.get(now.id);
    const at = (answer?.shown ?? now).run.cards.findIndex((card) => card.title === title);
    return { line: answer?.frame.lines.find(({ spec }) => spec === at) ?? null, shown: answer?.shown ?? now, of: answer?.of ?? NONE };
  });
  return (
    <section class={`cards${runs.length > 1 ? ' of-several' : ''}`} aria-label="Key figures">
      {cards.map((card) => (runs.length > 1 ? <Several key={card.title} card={card} figures={figures(card.title)} /> : <One key={card.title} card={card} {...figures(card.title)[0]!} />))}
    </section>
  );
}

/** To the chart of a card, which is added if it is not shown. */
function go(card: Card): void {
  if (!panels.peek().some(({ id }) => id === card.panel)) panelChoice.value = { shown: [...panels.peek().map(({ id }) => id), card.panel], hidden: panelChoice.peek()?.hidden ?? [] };
  requestAnimationFrame(() => document.querySelector(`[data-panel="${CSS.escape(card.panel)}"]`)?.scrollIntoView({ block: 'center', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' }));
}

/** The peak of a run, and when it was; as briefly as it can be said, and in full. */
function peakWords(line: Line | null, unit: Card['unit'], offset: number, of: Stretch): { brief: string; full: string } {
  const { peak = null, peakAt = null } = line?.summary ?? {};
  if (peak === null) return { brief: '\u00a0', full: '' };
  const at = peakAt === null ? '' : clock(peakAt + offset, zoneName.value);
  const long = of.to - of.from > 10 * MINUTE;
  return { brief: `peak ${amount(peak, unit)}${at && ` ${long ? at.slice(0, 5) : at}`}`, full: `peak ${amount(peak, unit)}${at && ` at ${at}`}` };
}

function One({ card, line, shown, of }: { card: Card } & Figure) {
  const unit = line?.unit ?? card.unit;
  const { brief, full } = peakWords(line, unit, shown.offset, of);
  return (
    <button type="button" class="card" title={`${full}. Click to see its chart.`} onClick={() => go(card)}>
      <span class="card-title">{card.title}</span>
      <span class="card-how"><How /></span>
      <Value line={line} unit={unit} shown={shown} />
      <Spark line={line} offset={shown.offset} of={of} />
      <span class="card-peak">{brief}</span>
    </button>
  );
}

/** A line for each run; their curves have one height. */
function Several({ card, figures }: { card: Card; figures: Figure[] }) {
  const highest = Math.max(0, ...figures.map(({ line }) => highestOf(line)));
  return (
    <button type="button" class="card several" title={`${figures.map(({ line, shown, of }, place) => `${letter(place)}: ${peakWords(line, line?.unit ?? card.unit, shown.offset, of).full || 'nothing'}`).join('; ')}. Click to see its chart.`} onClick={() => go(card)}>
      <span class="card-title">{card.title}</span>
      <span class="card-how"><How /></span>
      {figures.map(({ line, shown, of }, place) => (
        <span key={shown.id} class="card-run" data-run={shown.id}>
          <b class="run-letter">{letter(place)}</b>
          <Value line={line} unit={line?.unit ?? card.unit} shown={shown} />
          <Spark line={line} offset={shown.offset} of={of} highest={highest} />
        </span>
      ))}
    </button>
  );
}

/** The value at the cursor; else the newest of what grows, and the mean of what has ended. */
function Value({ line, unit, shown: { run, offset } }: { line: Line | null; unit: Card['unit']; shown: Shown }) {
  const at = focus.value;
  const isNow = run.state === 'live' && activeRange.value.kind !== 'free';
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

function highestOf(line: Line | null): number {
  let highest = 0;
  for (const value of line?.mean ?? []) if (value > highest) highest = value;
  return highest;
}

function Spark({ line, offset, of: { from, to }, highest = highestOf(line) }: { line: Line | null; offset: number; of: Stretch; highest?: number }) {
  if (!line || line.x.length === 0) return <svg class="spark" viewBox={`0 0 ${WIDE} ${HIGH}`} aria-hidden="true" />;
  const tops = line.mean;
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
    last = ((line.x[place]! + offset - from) / (to - from)) * WIDE;
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
