// Asks the source for something that depends on what is looked at, and keeps the old answer until the new one is here.
import { useEffect, useRef, useState } from 'preact/hooks';
import { isAbort, words } from './source.ts';

export interface Answer<T> {
  /** The latest that came; it may be of a question before. */
  value: T | null;
  /** The question that it answers. */
  of: string | null;
  /** An answer is awaited. */
  waiting: boolean;
  error: string | null;
}

/**
 * Asks again whenever `question` changes; without one, nothing is known. Questions that change faster than they are answered are asked one after the other:
 * what is asked goes on to its end while only `version` has changed, so that what grows fast is shown too.
 */
export function useAnswer<T>(question: string | null, ask: (signal: AbortSignal) => Promise<T>, version: unknown = 0): Answer<T> {
  const [answer, setAnswer] = useState<Answer<T>>({ value: null, of: null, waiting: question !== null, error: null });
  const running = useRef<{ question: string; again: boolean; abort: AbortController } | null>(null);
  const latest = useRef(ask);
  latest.current = ask;

  const begin = (of: string): void => {
    const mine = { question: of, again: false, abort: new AbortController() };
    running.current = mine;
    const done = (change: Partial<Answer<T>>): void => {
      if (running.current !== mine) return;
      running.current = null;
      setAnswer((before) => ({ ...before, waiting: false, ...change }));
      if (mine.again) begin(of);
    };
    latest.current(mine.abort.signal).then(
      (value) => done({ value, of, error: null }),
      (error: unknown) => {
        if (!isAbort(error)) done({ error: words(error) });
      },
    );
  };

  useEffect(() => {
    if (question === null) {
      setAnswer({ value: null, of: null, waiting: false, error: null });
      return;
    }
    if (running.current?.question === question) {
      running.current.again = true;
      return;
    }
    running.current?.abort.abort();
    setAnswer((before) => ({ ...before, waiting: true }));
    begin(question);
  }, [question, version]);

  useEffect(() => () => {
    running.current?.abort.abort();
    running.current = null;
  }, []);
  return answer;
}
