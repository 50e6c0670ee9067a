// Where time runs from left to right: every chart, lane and ruler is drawn on a surface. All of them begin and end at the same pixels, so a cursor, a zoom or
// a selection in one is one in all.
import { effect, signal } from '@preact/signals';
import type { ReadonlySignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useContext, useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { cursor, hovering, moment, resetView, selection, setView, view, whole } from '../state.ts';
import { within, zoomed } from '../time.ts';
import type { Stretch } from '../time.ts';
import { Laid, Width, carried, fraction, instantAt, panTo, stopPanning, useLaid, useSheet } from './sheet.ts';
import type { Sheet } from './sheet.ts';

/** What a drag does: zooms, or selects a stretch whose totals are shown. */
export const dragSelects = signal(false);

/** What is being drawn with the pointer. */
export const drag = signal<(Stretch & { selects: boolean }) | null>(null);

export interface SurfaceProps {
  /** What lies on the time axis: placed with `fraction` on the sheet that `useSheet` says. */
  children?: ComponentChildren;
  /** What lies above it and stays where it is. */
  fixed?: ComponentChildren;
  class?: string;
  height?: number;
  /** A click that was no drag. By itself it takes the moment. */
  onPick?: (at: number, event: PointerEvent) => void;
}

/** One of them, with a sheet of its own. */
export function Surface(props: SurfaceProps) {
  return <SurfaceOf {...props} laid={useLaid()} />;
}

/** One whose sheet somebody else has laid out. */
export function SurfaceOf({ children, fixed, class: name = '', height, onPick, laid, isSeen = true }: SurfaceProps & { laid: ReadonlySignal<Sheet>; isSeen?: boolean }) {
  const element = useRef<HTMLDivElement>(null);
  const sheet = useRef<HTMLDivElement>(null);
  const wide = useContext(Width);
  const pick = useRef(onPick);
  pick.current = onPick;
  useEffect(() => gestures(element.current!, wide, (at, event) => (pick.current ?? ((time: number) => (moment.value = time)))(at, event)), [wide]);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      const now = Math.round(entry!.contentRect.width);
      if (now > 0 && now !== wide.peek()) wide.value = now;
    });
    observer.observe(element.current!);
    return () => observer.disconnect();
  }, [wide]);
  useLayoutEffect(() => {
    if (!isSeen) return undefined;
    return effect(() => {
      const on = laid.value;
      const { by, scale } = carried(on, view.value);
      const { style } = sheet.current!;
      style.width = on.over === 0 ? '' : `${(1 + 2 * on.over) * 100}%`;
      style.transform = by === 0 && scale === 1 ? '' : `translateX(${by * wide.value}px)${Math.abs(scale - 1) < 1e-6 ? '' : ` scaleX(${scale})`}`;
    });
  }, [laid, wide, isSeen]);
  return (
    <div ref={element} class={`surface ${name}`} style={height === undefined ? undefined : { height: `${height}px` }}>
      <Laid.Provider value={laid}>
        <div ref={sheet} class="sheet">
          {children}
          <Marks />
        </div>
      </Laid.Provider>
      {fixed}
    </div>
  );
}

/** The cursor, the moment and what is selected, on every surface. */
function Marks() {
  const shown = drag.value ?? (selection.value && { ...selection.value, selects: true });
  return (
    <div class="marks" aria-hidden="true">
      {shown && <Band {...shown} />}
      {moment.value !== null && <Line at={moment.value} kind="moment" />}
      {cursor.value !== null && <Line at={cursor.value} kind="cursor" />}
    </div>
  );
}

function Line({ at, kind }: { at: number; kind: 'cursor' | 'moment' }) {
  const part = fraction(at, useSheet().on);
  return part < 0 || part > 1 ? null : <i class={kind} style={{ left: `${part * 100}%` }} />;
}

function Band({ from, to, selects }: Stretch & { selects: boolean }) {
  const { on } = useSheet();
  const left = Math.max(0, fraction(Math.min(from, to), on));
  const right = Math.min(1, fraction(Math.max(from, to), on));
  return right <= left ? null : <i class={selects ? 'band selects' : 'band'} style={{ left: `${left * 100}%`, width: `${(right - left) * 100}%` }} />;
}

/** A drag shorter than this is a click. */
const SLOP = 4;

interface Touch { id: number; x: number; y: number }

/**
 * Drag zooms (with Alt, Ctrl or the tool: selects), Shift and drag or a finger pans, two fingers or Ctrl and the wheel zoom, a sideways wheel pans, a
 * double click goes back to all. The plain wheel scrolls the page.
 */
function gestures(element: HTMLElement, wide: ReadonlySignal<number>, pick: (at: number, event: PointerEvent) => void): () => void {
  const abort = new AbortController();
  const touches = new Map<number, Touch>();
  let pressed: { x: number; y: number; view: Stretch; kind: 'zoom' | 'select' | 'pan' } | null = null;
  let moved = false;
  /** The moment as it was before a click took another. A double click is no such click. */
  let momentBefore: number | null = null;
  let pickedAt = -Infinity;
  let pinch: { distance: number; middle: number; view: Stretch } | null = null;

  const on = <K extends keyof HTMLElementEventMap>(name: K, act: (event: HTMLElementEventMap[K]) => void, options?: AddEventListenerOptions): void =>
    element.addEventListener(name, act, { ...options, signal: abort.signal });
  /** Where the surface lies. Asking makes the browser lay the page out, so it is asked once for a gesture. */
  let held: DOMRect | null = null;
  const part = (clientX: number): number => {
    const box = held ?? element.getBoundingClientRect();
    return Math.min(1, Math.max(0, (clientX - box.left) / Math.max(1, box.width)));
  };

  on('pointerdown', (event) => {
    if (event.button !== 0 || (event.target as Element).closest('button, a, input')) return;
    touches.set(event.pointerId, { id: event.pointerId, x: event.clientX, y: event.clientY });
    if (touches.size === 2) {
      const [a, b] = [...touches.values()] as [Touch, Touch];
      pinch = { distance: Math.max(8, Math.abs(a.x - b.x)), middle: part((a.x + b.x) / 2), view: view.peek() };
      pressed = null;
      held = null;
      drag.value = null;
      return;
    }
    const selects = event.altKey || event.ctrlKey || event.metaKey || dragSelects.peek();
    pressed = { x: event.clientX, y: event.clientY, view: view.peek(), kind: event.pointerType === 'touch' || event.shiftKey ? 'pan' : selects ? 'select' : 'zoom' };
    moved = false;
    held = element.getBoundingClientRect();
    if (event.pointerType !== 'touch') element.setPointerCapture(event.pointerId);
  });

  on('pointermove', (event) => {
    const touch = touches.get(event.pointerId);
    if (touch) Object.assign(touch, { x: event.clientX, y: event.clientY });
    if (pinch && touches.size === 2) {
      const [a, b] = [...touches.values()] as [Touch, Touch];
      const around = instantAt(pinch.middle, pinch.view);
      setView(zoomed(pinch.view, pinch.distance / Math.max(8, Math.abs(a.x - b.x)), around, whole.peek()));
      moved = true;
      return;
    }
    if (pressed && Math.abs(event.clientX - pressed.x) > SLOP) moved = true;
    if (pressed?.kind === 'pan' && moved) {
      const by = part(pressed.x) - part(event.clientX);
      const length = pressed.view.to - pressed.view.from;
      panTo(within({ from: pressed.view.from + by * length, to: pressed.view.to + by * length }, whole.peek()));
    }
    if (event.pointerType !== 'touch') {
      const at = instantAt(part(event.clientX), view.peek());
      const pixel = (view.peek().to - view.peek().from) / Math.max(1, wide.peek());
      // What is below the pointer goes along with it, so that the cursor stays in its place on the sheet.
      if (cursor.peek() === null || Math.abs(at - cursor.peek()!) > pixel / 100) cursor.value = at;
      hovering.value = true;
    }
    if (!pressed || !moved) return;
    if (pressed.kind !== 'pan') {
      drag.value = { from: instantAt(part(pressed.x), pressed.view), to: instantAt(part(event.clientX), pressed.view), selects: pressed.kind === 'select' };
    }
  });

  const release = (event: PointerEvent): void => {
    touches.delete(event.pointerId);
    if (touches.size < 2) pinch = null;
    if (!pressed) return;
    const { kind, view: seen } = pressed;
    if (kind === 'pan') stopPanning();
    const drawn = drag.peek();
    pressed = null;
    held = null;
    drag.value = null;
    if (event.type === 'pointercancel') return;
    if (!moved) {
      if (event.timeStamp - pickedAt > 500) momentBefore = moment.peek();
      pickedAt = event.timeStamp;
      pick(instantAt(part(event.clientX), seen), event);
    }
    else if (drawn && drawn.from !== drawn.to) {
      const stretch = { from: Math.min(drawn.from, drawn.to), to: Math.max(drawn.from, drawn.to) };
      if (kind === 'select') selection.value = stretch;
      else setView(stretch);
    }
  };
  on('pointerup', release);
  on('pointercancel', release);
  on('pointerleave', (event) => {
    if (event.pointerType === 'touch') return;
    cursor.value = null;
    hovering.value = false;
  });
  on('dblclick', (event) => {
    if ((event.target as Element).closest('button, a')) return;
    moment.value = momentBefore;
    resetView();
  });
  on(
    'wheel',
    (event) => {
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : event.shiftKey ? event.deltaY : 0;
      if (event.ctrlKey || event.metaKey || event.altKey) {
        event.preventDefault();
        const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
        setView(zoomed(view.peek(), Math.exp(Math.max(-60, Math.min(60, pixels)) * 0.005), instantAt(part(event.clientX), view.peek()), whole.peek()));
      } else if (sideways !== 0) {
        event.preventDefault();
        const { from, to } = view.peek();
        const by = ((to - from) * sideways) / Math.max(1, element.clientWidth);
        panTo({ from: from + by, to: to + by });
      }
    },
    { passive: false },
  );
  return () => abort.abort();
}
