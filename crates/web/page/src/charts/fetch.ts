// Asks for what is looked at: waits until it holds still, drops what nobody wants any more, and keeps the old picture until the new one is there.
import { effect, signal } from '@preact/signals';
import type { ReadonlySignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { Unreachable, isAbort, words } from '../source.ts';
import { connected } from '../state.ts';

export interface Fetched<T> {
  value: ReadonlySignal<T | null>;
  /** What is being waited for, though an old value may be there. */
  pending: ReadonlySignal<boolean>;
  error: ReadonlySignal<string | null>;
}

/** How long an answer is waited for when something newer is wanted: while a person pans, pictures on the way are worth having. */
const PATIENCE = 300;

/** While what is wanted changes with each frame, questions are no closer than this: each costs the browser as much as the drawing of a chart. */
const APART = 150;

/**
 * What `ask` answers, asked again whenever a signal changes that it reads before its first `await`. It answers null if there is nothing to ask.
 * Changes within `calm` milliseconds are one question; one is under way at a time, and one that nobody waits for any more is dropped.
 */
export function useFetched<T>(ask: () => ((signal: AbortSignal) => Promise<T>) | null, inputs: unknown[] = [], calm = 40): Fetched<T> {
  // What is asked depends on `inputs`, by which the caller says what its closure holds.
  const state = useMemo(() => ({ value: signal<T | null>(null), pending: signal(true), error: signal<string | null>(null) }), []);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let wanted: ((signal: AbortSignal) => Promise<T>) | null = null;
    let under: { abort: AbortController; since: number } | null = null;

    const send = (): void => {
      timer = undefined;
      const question = wanted;
      if (!question) return;
      if (under) {
        const left = under.since + PATIENCE - performance.now();
        if (left > 0) {
          timer = setTimeout(send, left);
          return;
        }
        under.abort.abort();
      }
      wanted = null;
      const mine = (under = { abort: new AbortController(), since: performance.now() });
      const settle = (take: () => void): void => {
        if (mine !== under) return;
        under = null;
        take();
        if (wanted) {
          clearTimeout(timer);
          timer = setTimeout(send, Math.max(0, mine.since + APART - performance.now()));
        } else state.pending.value = false;
      };
      question(mine.abort.signal).then(
        (answer) => settle(() => {
          state.value.value = answer;
          state.error.value = null;
        }),
        (error: unknown) => settle(() => {
          if (isAbort(error)) return;
          // That nobody answers is said once, at the top of the page.
          if (error instanceof Unreachable) connected.value = false;
          else state.error.value = words(error);
        }),
      );
    };

    const stop = effect(() => {
      wanted = ask();
      // Comes back after a broken connection.
      void connected.value;
      if (wanted) {
        state.pending.value = true;
        timer ??= setTimeout(send, calm);
      } else {
        under?.abort.abort();
        under = null;
        state.pending.value = false;
      }
    });
    return () => {
      stop();
      clearTimeout(timer);
      under?.abort.abort();
      under = null;
    };
  }, inputs);
  return state;
}
