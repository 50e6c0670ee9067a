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

/**
 * What `ask` answers, asked again whenever a signal changes that it reads before its first `await`. It answers null if there is nothing to ask.
 * Changes within `calm` milliseconds are one; while one question is under way, the next waits for its answer unless `drop` says that the first is of no use any more.
 */
export function useFetched<T>(ask: () => ((signal: AbortSignal) => Promise<T>) | null, inputs: unknown[] = [], calm = 40): Fetched<T> {
  // What is asked depends on `inputs`, by which the caller says what its closure holds.
  const state = useMemo(() => ({ value: signal<T | null>(null), pending: signal(true), error: signal<string | null>(null) }), []);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let abort: AbortController | null = null;
    const stop = effect(() => {
      const question = ask();
      // Comes back after a broken connection.
      void connected.value;
      clearTimeout(timer);
      if (!question) {
        abort?.abort();
        state.pending.value = false;
        return;
      }
      state.pending.value = true;
      timer = setTimeout(() => {
        abort?.abort();
        const mine = (abort = new AbortController());
        question(mine.signal).then(
          (answer) => {
            if (mine !== abort) return;
            state.value.value = answer;
            state.error.value = null;
            state.pending.value = false;
          },
          (error: unknown) => {
            if (mine !== abort || isAbort(error)) return;
            // That nobody answers is said once, at the top of the page.
            if (error instanceof Unreachable && connected.peek()) connected.value = false;
            else if (!(error instanceof Unreachable)) state.error.value = words(error);
            state.pending.value = false;
          },
        );
      }, calm);
    });
    return () => {
      stop();
      clearTimeout(timer);
      abort?.abort();
    };
  }, inputs);
  return state;
}
