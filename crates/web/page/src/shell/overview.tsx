// The whole run with a brush: what is looked at, to be moved and widened. It stays at the bottom of the window.
import { effect, useComputed, useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Frame, Line, Run, Spec } from '../api.ts';
import { useFetched } from '../charts/fetch.ts';
import { calmView, panTo, stopPanning, width } from '../charts/sheet.ts';
import { cursor, dark, letter, moment, resetView, run, selection, setView, shownRuns, source, view, whole, zoneName } from '../state.ts';
import type { Shown } from '../state.ts';
import { SHORTEST, clock, dateAndClock, within, zoomed } from '../time.ts';
import type { Stretch } from '../time.ts';

/** Of one run; of several each has a strip. */
const HEIGHT = 36;
const STRIP = 18;
/** Of a run that grows the curve of all of it is asked for again when it grew by this part. */
const STEP = 1 / 200;

/** What the curve of all of it is of: what matters most, or of a file of other things the first of them. */
function headline({ cards, panels }: Run): { title: string; spec: Spec } | null {
  const [first] = panels;
  return cards[0] ?? (first?.specs[0] ? { title: first.title, spec: first.specs[0] } : null);
}

type Asked = Pick<Shown, 'id' | 'offset'> & { from: number; to: number; spec: Spec };

export function Overview() {
  const seen = useSignal<readonly Asked[]>([]);
  const { value } = useFetched<{ id: string; frame: Frame }[]>(() => {
    const pixels = width.value;
    const asked = shownRuns.value.flatMap(({ id, run, offset, to }): Asked[] => {
      const spec = headline(run)?.spec;
      return spec ? [{ id, offset, from: run.from, to: Math.max(to, run.from + 1000), spec }] : [];
    });
    if (pixels < 2 || asked.length === 0) return null;
    const before = seen.peek();
    const isAsNow = (now: Asked, at: number): boolean => before[at]?.id === now.id && before[at].from === now.from && now.to - before[at].to < (before[at].to - before[at].from) * STEP;
    if (value.peek() && before.length === asked.length && asked.every(isAsNow)) return null;
    seen.value = asked;
    const at = source.value;
    return (abort) => Promise.all(asked.map(async ({ id, from, to, spec }) => ({ id, frame: await at.frame(id, { from, to, buckets: pixels, specs: [spec] }, abort) })));
  }, [], 200);
  if (!run.value) return null;
  const all = whole.value;
  const title = headline(run.value)?.title ?? '';
  const runs = shownRuns.value;
  const height = runs.length > 1 ? STRIP * runs.length : HEIGHT;
  const curves = runs.flatMap(({ id, offset }, place): Strip[] => {
    const line = value.value?.find((each) => each.id === id)?.frame.lines[0];
    return line ? [{ line, offset, place }] : [];
  });
  return (
    <section class="overview" aria-label={runs.length > 1 ? 'All of the runs' : 'The whole run'}>
      <div class="time-row">
        <div class={`gutter${runs.length > 1 ? ' of-several' : ''}`} title={title}>{runs.length > 1 ? runs.map(({ id }, place) => <b key={id} class="run-letter">{letter(place)}</b>) : <span>{title}</span>}</div>
        <Brush all={all} height={height}><Curves strips={curves} places={runs.length} height={height} all={all} /></Brush>
        <div class="side overview-says"><span>{dateAndClock(all.from, zoneName.value)}</span><span>to {dateAndClock(all.to, zoneName.value)}</span></div>
      </div>
    </section>
  );
}

interface Strip { line: Line; offset: number; place: number }

function Curves({ strips, places, height, all }: { strips: Strip[]; places: number; height: number; all: Stretch }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const wide = width.value;
  const isDark = dark.value;
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context || wide < 2) return;
    const ratio = devicePixelRatio || 1;
    context.canvas.width = Math.round(wide * ratio);
    context.canvas.height = height * ratio;
    context.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    // All runs by one height, so that they can be compared.
    let highest = 0;
    for (const { line } of strips) for (const value of line.max ?? line.mean) if (value > highest) highest = value;
    const tall = height / places;
    for (const { line, offset, place: at } of strips) {
      const foot = (at + 1) * tall;
      const draw = (column: ArrayLike<number>, fill: string): void => {
        context.fillStyle = fill;
        for (let place = 0; place < line.x.length; place += 1) {
          if (Number.isNaN(column[place]!)) continue;
          const left = ((line.x[place]! + offset - all.from) / (all.to - all.from)) * wide;
          const next = place + 1 < line.x.length ? ((line.x[place + 1]! + offset - all.from) / (all.to - all.from)) * wide : left + 1;
          const high = highest > 0 ? (column[place]! / highest) * (tall - (places > 1 ? 3 : 6)) : 0;
          context.fillRect(left, foot - 1 - high, Math.max(1, next - left), high + 1);
        }
      };
      draw(line.max ?? line.mean, style.getPropertyValue('--overview-peak'));
      draw(line.mean, style.getPropertyValue('--overview-mean'));
    }
  }, [strips.map(({ line }) => line), strips.map(({ offset, place }) => `${offset}.${place}`).join(), places, height, all.from, all.to, wide, isDark].flat());
  return <canvas ref={canvas} class="overview-curve" aria-hidden="true" style={{ height: `${height}px` }} />;
}

type Grip = 'from' | 'to' | 'move' | 'new';

function Brush({ all, height, children }: { all: Stretch; height: number; children: preact.ComponentChildren }) {
  const element = useRef<HTMLDivElement>(null);
  const at = (clientX: number): number => {
    const box = element.current!.getBoundingClientRect();
    return all.from + Math.min(1, Math.max(0, (clientX - box.left) / Math.max(1, box.width))) * (all.to - all.from);
  };
  const place = (time: number): string => `${Math.min(100, Math.max(0, ((time - all.from) / (all.to - all.from)) * 100))}%`;
  const now = calmView.value;
  const share = (part: number): string => `${part * 100}%`;
  /** How long what is looked at is, of all; rounded, as where it lies changes the last digits. */
  const long = useComputed(() => Math.min(1, Math.round(((view.value.to - view.value.from) / (all.to - all.from)) * 1e7) / 1e7)).value;
  const partial = useComputed(() => view.value.from > all.from || view.value.to < all.to).value;
  const carriers = [useRef<HTMLElement>(null), useRef<HTMLElement>(null)];
  // As one pans it is moved as a whole.
  useLayoutEffect(() => effect(() => {
    const transform = `translateX(${Math.min(1, Math.max(0, (view.value.from - all.from) / (all.to - all.from))) * 100}%)`;
    for (const { current } of carriers) current!.style.transform = transform;
  }), [all.from, all.to]);
  const press = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    const grip = ((event.target as HTMLElement).dataset.grip as Grip | undefined) ?? 'new';
    const from = at(event.clientX);
    const seen = view.peek();
    let moved = false;
    const target = element.current!;
    target.setPointerCapture(event.pointerId);
    const abort = new AbortController();
    target.addEventListener('pointermove', (next) => {
      if (Math.abs(next.clientX - event.clientX) > 3) moved = true;
      if (!moved) return;
      const to = at(next.clientX);
      const least = Math.max(SHORTEST, (all.to - all.from) / 2000);
      if (grip === 'from') setView({ from: Math.min(to, seen.to - least), to: seen.to });
      else if (grip === 'to') setView({ from: seen.from, to: Math.max(to, seen.from + least) });
      else if (grip === 'move' && partial) panTo(within({ from: seen.from + to - from, to: seen.to + to - from }, all));
      else setView({ from: Math.min(from, to), to: Math.max(from, to, Math.min(from, to) + least) });
    }, { signal: abort.signal });
    const release = (next: PointerEvent): void => {
      abort.abort();
      stopPanning();
      if (!moved && next.type === 'pointerup' && partial) {
        // A click beside the brush brings it there.
        const half = (seen.to - seen.from) / 2;
        if (grip === 'new') setView(within({ from: from - half, to: from + half }, all));
      }
    };
    target.addEventListener('pointerup', release, { signal: abort.signal });
    target.addEventListener('pointercancel', release, { signal: abort.signal });
  };
  useEffect(() => {
    const abort = new AbortController();
    element.current!.addEventListener('wheel', (event) => {
      event.preventDefault();
      const box = element.current!.getBoundingClientRect();
      const part = (event.clientX - box.left) / Math.max(1, box.width);
      const bounds = whole.peek();
      setView(zoomed(view.peek(), Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.005), bounds.from + part * (bounds.to - bounds.from), bounds));
    }, { passive: false, signal: abort.signal });
    return () => abort.abort();
  }, []);
  const edge = (grip: 'from' | 'to', label: string) => (
    <i
      class={`brush-edge ${grip}`}
      data-grip={grip}
      role="slider"
      tabIndex={0}
      aria-label={label}
      aria-valuemin={Math.round(all.from)}
      aria-valuemax={Math.round(all.to)}
      aria-valuenow={Math.round(now[grip])}
      aria-valuetext={dateAndClock(now[grip], zoneName.value)}
      style={{ left: grip === 'from' ? 0 : share(long) }}
      onKeyDown={(event) => {
        const by = ((event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0) * (now.to - now.from)) / 20;
        if (by === 0) return;
        event.preventDefault();
        event.stopPropagation();
        const seen = view.peek();
        setView({ ...seen, [grip]: seen[grip] + by });
      }}
    />
  );
  return (
    <div ref={element} class="brush" style={{ height: `${height}px` }} onPointerDown={press} onDblClick={resetView} title={`${clock(now.from, zoneName.value)} to ${clock(now.to, zoneName.value)}`}>
      {children}
      <i class="brush-outs">
        <i ref={carriers[0]} class="brush-carrier">
          {partial && <i class="brush-out" style={{ right: '100%' }} />}
          {partial && <i class="brush-out" style={{ left: share(long) }} />}
        </i>
      </i>
      {selection.value && <i class="brush-selected" style={{ left: place(selection.value.from), width: `calc(${place(selection.value.to)} - ${place(selection.value.from)})` }} />}
      <i ref={carriers[1]} class="brush-carrier">
        <i class="brush-window" data-grip="move" style={{ width: share(long) }} />
        {edge('from', 'Begin of what is looked at')}
        {edge('to', 'End of what is looked at')}
      </i>
      {moment.value !== null && <i class="brush-moment" style={{ left: place(moment.value) }} />}
      {cursor.value !== null && <i class="brush-cursor" style={{ left: place(cursor.value) }} />}
    </div>
  );
}
