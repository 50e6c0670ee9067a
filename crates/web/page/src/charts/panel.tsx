// One chart with its legend: what it asks for, what it draws, and the table of its numbers.
import { useSignal } from '@preact/signals';
import type { Signal } from '@preact/signals';
import { useCallback, useContext, useEffect, useMemo, useRef } from 'preact/hooks';
import type { Frame, Gap, Panel, Spec } from '../api.ts';
import { OTHERS, heat, introduce } from '../colours.ts';
import { amount, bare, duration, scaleFor } from '../numbers.ts';
import type { Scale } from '../numbers.ts';
import { colour, dark, following, letter, live, shownRuns, smoothing, source, zoneName } from '../state.ts';
import type { Shown } from '../state.ts';
import { clock } from '../time.ts';
import { columnName } from './columns.tsx';
import { useFetched } from './fetch.ts';
import { Heat } from './heat.tsx';
import { Legend } from './legend.tsx';
import type { Row } from './legend.tsx';
import { Plot } from './plot.tsx';
import type { Picture } from './plot.tsx';
import { align, axis, drawn, extent, stacked, steady } from './series.ts';
import type { Drawn } from './series.ts';
import { Width, fraction, sheet, useLaid, useSheet, useTicks } from './sheet.ts';
import { SurfaceOf } from './surface.tsx';

/** What is asked for a panel, and the place of the total among it. Of several runs stacks can't lie on each other, but their totals can. */
function asked(panel: Panel, several: boolean): { specs: Spec[]; total: number | null } {
  const [first, ...rest] = panel.specs;
  const adds = panel.style === 'stack' && first !== undefined && (first.by === true || rest.length > 0) && !first.minus?.length
    && rest.every(({ table, where, by, minus }) => table === first.table && JSON.stringify(where) === JSON.stringify(first.where) && by === first.by && !minus?.length);
  if (!adds) return { specs: panel.specs, total: null };
  const total: Spec = { table: first.table, plus: panel.specs.flatMap(({ plus }) => plus), where: first.where, label: 'total' };
  return several ? { specs: [total], total: 0 } : { specs: [...panel.specs, total], total: panel.specs.length };
}

interface Answer {
  frames: { frame: Frame; shown: Shown }[];
  specs: Spec[];
  total: number | null;
  /** Whether it is of just what is looked at, so that its means and peaks are. */
  isExact: boolean;
}

const HEIGHT = { stack: 152, lines: 112, heat: 96 };

/** Lines apart by their dashes where several runs lie on each other. */
const DASHES: (number[] | undefined)[] = [undefined, [6, 3], [2, 3], [8, 3, 2, 3]];

/** From where to where the axes of one chart's columns must go, by their runs: they have one scale, so that heights can be compared. */
export type Extents = Signal<ReadonlyMap<string, [number, number]>>;

/** Of all runs that are shown, or of one in its column, under a title that is there already. */
export interface Column { id: string; name: string; extents: Extents }

export function Chart({ panel, tools, column }: { panel: Panel; tools?: preact.ComponentChildren; column?: Column }) {
  const width = useContext(Width);
  const element = useRef<HTMLElement>(null);
  const near = useSignal(false);
  const seen = useSignal(false);
  useEffect(() => {
    // What is far from the screen asks for nothing; what is not on it is not drawn. A report has all in itself: once its first screen is there each chart is, for whoever prints it.
    const isOwn = source.peek().embedded;
    const timer = isOwn ? setTimeout(() => (near.value = true), 500) : undefined;
    const watch = (into: Signal<boolean>, margin: string): IntersectionObserver => {
      const observer = new IntersectionObserver((entries) => (into.value = entries.at(-1)!.isIntersecting || (into === near && isOwn && near.peek())), { rootMargin: margin });
      observer.observe(element.current!);
      return observer;
    };
    let observers: IntersectionObserver[] = [];
    const begin = (): void => void (observers = [watch(near, '300px 0px'), watch(seen, '40px 0px')]);
    const end = (): void => observers.forEach((observer) => observer.disconnect());
    // On paper all of them are, wherever they lie on the screen.
    const all = (): void => {
      end();
      near.value = seen.value = true;
    };
    begin();
    addEventListener('beforeprint', all);
    addEventListener('afterprint', begin);
    return () => {
      clearTimeout(timer);
      end();
      removeEventListener('beforeprint', all);
      removeEventListener('afterprint', begin);
    };
  }, []);

  const { value, pending, error } = useFetched<Answer>(() => {
    const runs = column ? shownRuns.value.filter(({ id }) => id === column.id) : shownRuns.value;
    const pixels = width.value;
    const { from, to, over } = sheet.value;
    if (!near.value || pixels < 2 || runs.length === 0) return null;
    const { specs, total } = asked(panel, runs.length > 1);
    const from_ = source.value;
    return async (abort) => ({
      specs,
      total,
      isExact: over === 0,
      frames: await Promise.all(
        runs.map(async (shown) => ({
          shown,
          frame: await from_.frame(shown.id, { from: from - shown.offset, to: to - shown.offset, buckets: Math.round(pixels * (1 + 2 * over)), specs }, abort),
        })),
      ),
    });
  }, [panel.id, JSON.stringify(panel.specs), column?.id, width]);

  const answer = value.value;
  return (
    <section ref={element} class={`panel ${panel.style}`} aria-label={column ? `${panel.title}, ${column.name}` : panel.title} aria-busy={pending.value && !answer} data-pending={pending.value || undefined} data-panel={panel.id} data-run={column?.id}>
      {answer ? (
        <Drawing panel={panel} answer={answer} tools={tools} error={error.value} visible={seen.value} column={column} />
      ) : (
        <div class="chart">
          <Title panel={panel} column={column}>{tools}</Title>
          <div class="gutter" />
          <SurfaceOf laid={sheet} isSeen={false} height={HEIGHT[panel.style]} class={error.value ? '' : 'skeleton'} fixed={error.value && <p class="surface-says">{error.value}</p>} />
          <div class="side" />
        </div>
      )}
    </section>
  );
}

function Title({ panel, column, children }: { panel: Panel; column?: Column; children: preact.ComponentChildren }) {
  if (column) return <h4 class="chart-title"><span class="chart-name soft">{column.name}</span>{children}</h4>;
  return <h3 class="chart-title" title={panel.help}><span class="chart-name">{panel.title}</span>{children}</h3>;
}

function Drawing({ panel, answer, tools, error, visible, column }: { panel: Panel; answer: Answer; tools?: preact.ComponentChildren; error: string | null; visible: boolean; column?: Column }) {
  const isolated = useSignal<ReadonlySet<string>>(new Set());
  const highlighted = useSignal<string | null>(null);
  const axisTop = useRef<number | null>(null);
  const several = answer.frames.length > 1;
  const samples = smoothing.value;
  const isDark = dark.value;

  const lines = useMemo(() => {
    const all = answer.frames.flatMap(({ frame, shown }, at) =>
      drawn(several || answer.total === null ? frame : { ...frame, lines: frame.lines.filter(({ spec }) => spec !== answer.total) }, { specs: answer.specs }, samples, shown.run.intervalSeconds * 1000, shown.offset, at, several ? columnName(shown, at) : ''),
    );
    introduce([...new Set(all.filter(({ line }) => line.kind !== 'others').map(({ identity }) => identity))]);
    return all;
  }, [answer, samples]);
  const total = useMemo(
    () => (several || answer.total === null ? null : (drawn({ ...answer.frames[0]!.frame, lines: answer.frames[0]!.frame.lines.filter(({ spec }) => spec === answer.total) }, { specs: answer.specs }, samples, answer.frames[0]!.shown.run.intervalSeconds * 1000, answer.frames[0]!.shown.offset)[0] ?? null)),
    [answer, samples],
  );

  const stack = panel.style === 'stack' && !several;
  const chosen = isolated.value;
  const shown = chosen.size > 0 ? lines.filter(({ label }) => chosen.has(label)) : lines;
  const paint = useCallback((line: Drawn): string => (line.line.kind === 'others' ? (isDark ? OTHERS.dark : OTHERS.light) : colour(line.identity)), [isDark]);
  const over = highlighted.value;
  const unit = lines[0]?.line.unit ?? panel.unit;

  const made = useMemo(() => {
    const aligned = align(shown.map(({ line, offset, mean }) => ({ x: line.x, offset, values: mean })));
    const sums = stack ? stacked(aligned.columns) : aligned.columns;
    const edges = stack ? null : align(shown.flatMap(({ line, offset, mean }) => [{ x: line.x, offset, values: mean }, { x: line.x, offset, values: line.min ?? mean }, { x: line.x, offset, values: line.max ?? mean }]));
    return { x: aligned.x, sums, edges };
  }, [lines, chosen, stack]);

  const laid = useLaid(visible, true);
  const { from, to, over: isPanned } = laid.value;
  const ownRange = useMemo((): [number, number] => {
    let low = 0;
    let high = 0;
    let any = false;
    const widen = (found: [number, number] | null): void => {
      if (!found) return;
      low = any ? Math.min(low, found[0]) : found[0];
      high = any ? Math.max(high, found[1]) : found[1];
      any = true;
    };
    const stretch = { from, to };
    if (stack) {
      widen(extent(made.x, made.sums.at(-1) ?? [], stretch));
      if (total && chosen.size === 0) widen(extent(total.line.x, total.line.max ?? total.mean, stretch));
    } else for (const { line, offset, mean } of shown) {
      const own = { from: from - offset, to: to - offset };
      widen(extent(line.x, line.min ?? mean, own));
      widen(extent(line.x, line.max ?? mean, own));
    }
    return [low, high];
  }, [made, total, from, to]);
  useEffect(() => {
    if (!column) return undefined;
    const { id, extents } = column;
    const keep = (range: [number, number] | null): void => {
      const rest = [...extents.peek()].filter(([other]) => other !== id);
      extents.value = new Map(range ? [...rest, [id, range]] : rest);
    };
    keep(ownRange);
    return () => keep(null);
  }, [column?.id, column?.extents, ownRange[0], ownRange[1]]);
  const all = column ? [ownRange, ...column.extents.value.values()] : [ownRange];
  const range: [number, number] = [Math.min(...all.map(([low]) => low)), Math.max(...all.map(([, high]) => high))];

  // A limit that is far above would leave a flat line at the bottom: then its place is told, not drawn.
  const near = panel.limits.filter(({ value }) => chosen.size === 0 && value <= Math.max(range[1] * 2.5, Number.MIN_VALUE));
  const needed = Math.max(range[1], ...near.map(({ value }) => value * 1.02));
  axisTop.current = steady(axisTop.current, needed, following.value || isPanned > 0);
  const { factor, unit: scaleUnit } = scaleFor(unit, axisTop.current);
  const scale = useMemo((): Scale => ({ factor, unit: scaleUnit }), [factor, scaleUnit]);
  const height = panel.style === 'heat' ? Math.round(lines.length * Math.min(20, Math.max(4, 224 / Math.max(1, lines.length)))) : HEIGHT[panel.style];
  const scaled = axis([range[0], axisTop.current], scale, unit, panel.style === 'stack' ? 4 : 3);

  const picture = useMemo((): Picture => {
    const faded = ({ label }: Drawn): boolean => over !== null && over !== label;
    if (stack) {
      // The highest sum first: the lower ones are drawn over it.
      const traces = shown.map((line) => ({ colour: paint(line), fill: 'zero' as const, width: 0.5, faded: faded(line) }));
      const peaks = total?.line.max && chosen.size === 0 ? align([{ x: total.line.x, offset: total.offset, values: total.line.max }]) : null;
      const columns = made.sums.slice().reverse();
      if (peaks && peaks.x.length === made.x.length) return { x: made.x, columns: [peaks.columns[0]!, ...columns], traces: [{ colour: isDark ? '#5a626e' : '#b4bac3', fill: 'none', width: 1, faded: false }, ...traces.reverse()], bands: [], low: scaled.low, high: scaled.high };
      return { x: made.x, columns, traces: traces.reverse(), bands: [], low: scaled.low, high: scaled.high };
    }
    return {
      x: made.edges!.x,
      columns: made.edges!.columns,
      traces: shown.flatMap((line) => [{ colour: paint(line), fill: 'none' as const, width: over === line.label ? 2 : 1.25, dash: several && line.identity !== line.label ? DASHES[line.run % DASHES.length] : undefined, faded: faded(line) }, null, null]),
      bands: shown.flatMap((line, at) => (line.line.min ? [{ low: at * 3 + 1, high: at * 3 + 2, colour: paint(line), faded: faded(line) }] : [])),
      low: scaled.low,
      high: scaled.high,
    };
  }, [made, over, isDark, scaled.low, scaled.high, total]);

  const exact = useRef<Row[]>([]);
  const rows = useMemo((): Row[] => {
    // While one pans, means and peaks are those of before: what is asked for is of more than what is looked at.
    if (!answer.isExact && exact.current.length > 0) return exact.current;
    const whole: Row[] = total && chosen.size === 0 ? [{ label: 'total', colour: null, line: total, identity: 'total', process: null }] : [];
    return (exact.current = [...whole, ...lines.map((line): Row => ({ label: line.label, colour: panel.style === 'heat' ? heatColour(line.line.summary.mean, unit, isDark) : paint(line), line, identity: line.identity, process: processOf(panel, line) }))]);
  }, [lines, total, isDark, chosen.size]);

  // Nothing of the legend moves as one pans.
  const far = panel.style === 'heat' ? [] : panel.limits.filter((limit) => !near.includes(limit));
  const isLive = live.value;
  const legend = useMemo(() => <Legend rows={rows} scale={scale} height={height + 24} isolated={isolated} highlighted={highlighted} live={isLive} far={far} unit={unit} />, [rows, scale, height, isLive, far.map(({ label, value }) => `${label} ${value}`).join(), unit]);

  const heatHighest = unit === 'ratio' || unit === 'cores' ? 1 : Math.max(1e-12, range[1]);
  const fade = useCallback((identity: string) => over !== null && over !== identity, [over]);
  const isEmpty = lines.every(({ line }) => line.x.length === 0 || line.mean.every(Number.isNaN));

  return (
    <div class="chart">
      <Title panel={panel} column={column}>
        <span class="chart-unit">{scale.unit}</span>
        {tools}
      </Title>
      <div class="gutter" aria-hidden="true">
        {panel.style === 'heat' ? <HeatLabels lines={lines} height={height} /> : <Ticks at={scaled.ticks} low={scaled.low} high={scaled.high} scale={scale} />}
      </div>
      <SurfaceOf
        height={height}
        laid={laid}
        isSeen={visible}
        fixed={<>
          {panel.style !== 'heat' && near.map(({ label, value }) => <Limit key={label} label={label} part={(value - scaled.low) / (scaled.high - scaled.low)} said={bare(amount(value, unit))} />)}
          {isEmpty && <p class="surface-says">{error ?? 'Nothing was recorded of this here.'}</p>}
        </>}
      >
        <Grid ticks={panel.style === 'heat' ? [] : scaled.ticks} low={scaled.low} high={scaled.high} />
        {panel.style === 'heat' ? <Heat lines={lines} highest={heatHighest} height={height} faded={fade} visible={visible} /> : <Plot picture={picture} height={height} visible={visible} />}
        {answer.frames.map(({ frame, shown }, at) => <Gaps key={shown.id} gaps={frame.gaps} offset={shown.offset} place={at} places={answer.frames.length} />)}
      </SurfaceOf>
      {legend}
    </div>
  );
}

/** Of a row of cells the colour of its mean; a scale that is not of shares has none of its own. */
const heatColour = (mean: number | null, unit: Panel['unit'], isDark: boolean): string => ((unit === 'ratio' || unit === 'cores') && mean !== null ? `rgb(${heat(mean, isDark).join(' ')})` : 'transparent');

/** Whose line it is, if it is a process's. */
function processOf(panel: Panel, { line }: Drawn): { pid: number; startTicks: number } | null {
  const table = panel.specs[line.spec]?.table;
  const [pid, startTicks] = line.key;
  return line.kind === 'subject' && (table === 'process' || table === 'process_memory') && typeof pid === 'number' && typeof startTicks === 'number' ? { pid, startTicks } : null;
}

function Ticks({ at, low, high, scale }: { at: number[]; low: number; high: number; scale: Scale }) {
  return at.map((value) => {
    const part = (value - low) / (high - low);
    return part > 1.001 ? null : <span key={value} class={part > 0.96 ? 'tick top' : part < 0.03 ? 'tick foot' : 'tick'} style={{ bottom: `${part * 100}%` }}>{tickText(value, scale, at)}</span>;
  });
}

function tickText(value: number, { factor }: Scale, all: number[]): string {
  const step = all.length > 1 ? Math.abs(all[1]! - all[0]!) / factor : 1;
  const scaled = value / factor;
  const digits = Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9) + (Number.isInteger(step * 10 ** -Math.floor(Math.log10(step) + 1e-9)) ? 0 : 1)));
  return scaled === 0 ? '0' : scaled.toFixed(digits).replace('-', '−').replace(/\B(?=(\d{3})+$)/, scaled >= 10_000 ? '\u202f' : '');
}

function HeatLabels({ lines, height }: { lines: Drawn[]; height: number }) {
  const row = height / Math.max(1, lines.length);
  const every = Math.ceil(14 / row);
  return lines.map(({ line, label }, at) => at % every === 0 && <span key={label} class="tick" style={{ bottom: `${100 - ((at + 0.5) / lines.length) * 100}%` }}>{line.key[0] ?? label}</span>);
}

/** Hairlines at the ticks of both axes, behind the data. */
function Grid({ ticks: at, low, high }: { ticks: number[]; low: number; high: number }) {
  const { on } = useSheet();
  return (
    <div class="grid" aria-hidden="true">
      {at.map((value) => <i key={`y${value}`} class={value === 0 ? 'zero' : 'y'} style={{ bottom: `${((value - low) / (high - low)) * 100}%` }} />)}
      {useTicks().map((tick) => <i key={tick.at} class="x" style={{ left: `${fraction(tick.at, on) * 100}%` }} />)}
    </div>
  );
}

/** Stretches without data. Why stands in the title. Of several runs each has its part of the height, so that nobody takes the gap of one for that of all. */
function Gaps({ gaps, offset, place, places }: { gaps: Gap[]; offset: number; place: number; places: number }) {
  const { on } = useSheet();
  return gaps.map(({ from, to, why }) => {
    const left = Math.max(0, fraction(from + offset, on));
    const right = Math.min(1, fraction(to + offset, on));
    return right <= left ? null : (
      <i key={from} class="gap" title={`${places > 1 ? `${letter(place)}: ` : ''}${why}: ${clock(from + offset, zoneName.value)} to ${clock(to + offset, zoneName.value)}, ${duration((to - from) / 1000)}`} style={{ left: `${left * 100}%`, width: `${(right - left) * 100}%`, top: `${(place / places) * 100}%`, height: `${100 / places}%` }} />
    );
  });
}

function Limit({ label, part, said }: { label: string; part: number; said: string }) {
  return part < 0 || part > 1 ? null : (
    <i class="limit" style={{ bottom: `${part * 100}%` }}>
      <span class={part > 0.85 ? 'below' : ''}>{said.endsWith(` ${label}`) ? said : `${label} ${said}`}</span>
    </i>
  );
}
