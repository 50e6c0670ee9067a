// Draws canvases one in each frame. While a person pans, pictures that wait for their turn are carried along by the browser, which costs next to nothing.
import type { Stretch } from '../time.ts';

const waiting = new Map<object, () => void>();
let frame = 0;

/** Has something drawn when its turn comes; what is asked again before that is drawn once, as it was asked last. */
export function pace(who: object, draw: () => void): void {
  waiting.set(who, draw);
  frame ||= requestAnimationFrame(next);
}

/** It is not there any more. */
export function forget(who: object): void {
  waiting.delete(who);
}

function next(): void {
  frame = 0;
  const [first] = waiting;
  if (!first) return;
  waiting.delete(first[0]);
  first[1]();
  if (waiting.size > 0) frame = requestAnimationFrame(next);
}

/** Where a picture of one stretch lies in another: how it is moved, as a part of the width, and stretched. */
export function carried(drawn: Stretch, now: Stretch): { by: number; scale: number } {
  const length = now.to - now.from;
  return { by: (drawn.from - now.from) / length, scale: (drawn.to - drawn.from) / length };
}

/** Moves a canvas on which one stretch is drawn to where it lies in another. */
export function carry(canvas: HTMLElement, drawn: Stretch, now: Stretch, width: number): void {
  const { by, scale } = carried(drawn, now);
  canvas.style.transform = by === 0 && scale === 1 ? '' : `translateX(${by * width}px) scaleX(${scale})`;
}
