// What moves as one pans. All that lies on the axis of a surface is laid out on a sheet, for a stretch that is a little longer than what is looked at. While a person pans, sheets are
// moved and nothing on them is made anew: the browser does that without laying out or painting anything. Once it holds still, each is laid out for just what is looked at.
import { computed, effect, signal } from '@preact/signals';
import type { ReadonlySignal, Signal } from '@preact/signals';
import { createContext } from 'preact';
import { useContext, useLayoutEffect, useMemo } from 'preact/hooks';
import { panBy, panning, printing, setView, view, zoneName } from '../state.ts';
import { ticks } from '../time.ts';
import type { Stretch, Tick } from '../time.ts';
import { forget, pace } from './pace.ts';

/** How wide surfaces are, in CSS pixels. */
export const width = signal(0);

/** How wide those in columns are, where each run has one of its own. */
export const columnWidth = signal(0);

/** Which of both a part of the page is drawn with. */
export const Width = createContext(width);

/** A stretch, and how far it goes beyond what is looked at on both sides, as a part of its length. */
export interface Sheet extends Stretch { over: number }

/** How far sheets reach on both sides while one pans. */
const REACH = 0.5;
/** With less than this left another one is laid out. */
const LEFT = 0.1;
/** A move is over when there was no other for so many milliseconds. */
const STILL = 150;

/** The sheet for what is looked at: just that, or while one pans the one that there is, as long as it reaches. */
export function sheetFor({ from, to }: Stretch, isPanning: boolean, before: Sheet | null): Sheet {
  if (!isPanning) return before && before.over === 0 && before.from === from && before.to === to ? before : { from, to, over: 0 };
  const length = to - from;
  const isSame = before !== null && before.over > 0 && Math.abs((before.to - before.from) / (1 + 2 * before.over) - length) <= length * 1e-6;
  if (isSame && from - before.from >= LEFT * length && before.to - to >= LEFT * length) return before;
  return { from: from - REACH * length, to: to + REACH * length, over: REACH };
}

let last: Sheet | null = null;

/** What all surfaces are to be laid out for, and what is asked for. */
export const sheet = computed<Sheet>(() => (last = sheetFor(view.value, panning.value, last)));

let timer: ReturnType<typeof setTimeout> | undefined;

/** It holds still again. */
export function stopPanning(): void {
  clearTimeout(timer);
  panning.value = false;
}

/** Moves what is looked at, as one of many moves. */
export function panTo(to: Stretch): void {
  panning.value = true;
  clearTimeout(timer);
  timer = setTimeout(stopPanning, STILL);
  setView(to);
}

/** Moves it by a part of its length; a key that is held is one move. */
export function step(part: number, isHeld: boolean): void {
  const { from, to } = view.peek();
  if (isHeld) panTo({ from: from + part * (to - from), to: to + part * (to - from) });
  else panBy(part);
}

/** What is looked at, as words say it: while one pans they need not change with each frame. */
export const calmView = signal<Stretch>(view.peek());

const CALM = 200;

export function keepPanning(): void {
  let since = -Infinity;
  effect(() => {
    const now = view.value;
    if (panning.value && performance.now() - since < CALM) return;
    since = performance.now();
    calmView.value = now;
  });
  // Sheets have a layer of their own only while they move.
  effect(() => void document.documentElement.classList.toggle('panning', panning.value));
}

/** What a surface is laid out for. It is laid out anew when its turn comes, and not at all while nobody sees it; charts are heavy, and wait for each other. */
export function useLaid(isSeen = true, isHeavy = false): Signal<Sheet> {
  const laid = useMemo(() => signal(sheet.peek()), []);
  useLayoutEffect(() => {
    if (!isSeen) return undefined;
    const stop = effect(() => {
      if (sheet.value !== laid.peek()) pace(laid, () => (laid.value = sheet.peek()), isHeavy);
    });
    return () => {
      stop();
      forget(laid);
    };
  }, [isSeen]);
  return laid;
}

/** The sheet that a part of the page lies on. */
export const Laid = createContext<ReadonlySignal<Sheet>>(sheet);

/** The sheet that this lies on, and how wide it is. */
export function useSheet(): { on: Sheet; wide: number } {
  const on = useContext(Laid).value;
  return { on, wide: widthOf(on, useContext(Width).value) };
}

/** How wide a sheet is on surfaces of such a width. */
export const widthOf = ({ over }: Sheet, wide: number): number => Math.round(wide * (1 + 2 * over));

/** Where an instant lies: 0 at the left edge, 1 at the right. */
export const fraction = (at: number, { from, to }: Stretch): number => (at - from) / (to - from);

/** The instant at a part of the width. */
export const instantAt = (part: number, { from, to }: Stretch): number => from + part * (to - from);

/** How a sheet is moved, as a part of the surface's width, and stretched, so that each instant lies where it belongs. */
export function carried(laid: Sheet, now: Stretch): { by: number; scale: number } {
  const length = now.to - now.from;
  return { by: (laid.from - now.from) / length, scale: (laid.to - laid.from) / ((1 + 2 * laid.over) * length) };
}

/** Round times that were worked out lately: many sheets have the same. */
const known = new Map<string, Tick[]>();

/** How wide surfaces are at least on an upright page; the browser says how wide only when it is too late. */
const PAPER = 370;

/** How wide labels should think that the sheet is. */
export function useLabelWidth(): number {
  const { wide } = useSheet();
  return printing.value ? Math.min(PAPER, wide) : wide;
}

/** Round times on the sheet. */
export function useTicks(): Tick[] {
  const { on } = useSheet();
  const wide = useLabelWidth();
  const zone = zoneName.value;
  const key = `${on.from} ${on.to} ${wide} ${zone}`;
  let found = known.get(key);
  if (!found) {
    found = ticks(on, zone, Math.max(2, Math.floor(wide / 90)));
    if (known.size > 7) known.delete(known.keys().next().value!);
    known.set(key, found);
  }
  return found;
}
