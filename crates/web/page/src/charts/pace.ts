// Does heavy work once in each frame. While a person pans, what waits for its turn is carried along by the browser, which costs next to nothing.
import { printing } from '../state.ts';

interface Waiting { act: () => void; isHeavy: boolean }

const waiting = new Map<object, Waiting>();
let frame = 0;

/** Has something done when its turn comes; what is asked again before that is done once, as it was asked last. What is not heavy has its turn in the next frame. */
export function pace(who: object, act: () => void, isHeavy = true): void {
  if (printing.peek()) {
    // Paper has but one frame.
    waiting.delete(who);
    act();
    return;
  }
  waiting.set(who, { act, isHeavy });
  frame ||= requestAnimationFrame(next);
}

/** It is not there any more. */
export function forget(who: object): void {
  waiting.delete(who);
}

function next(): void {
  frame = 0;
  let isBusy = false;
  for (const [who, { act, isHeavy }] of [...waiting]) {
    if (isHeavy && isBusy) continue;
    isBusy ||= isHeavy;
    waiting.delete(who);
    act();
  }
  if (waiting.size > 0) frame = requestAnimationFrame(next);
}
