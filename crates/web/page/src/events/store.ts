// Events of the run that is shown: what the recording has, what this browser keeps on top of it, and what watch points raise.
import { batch, computed, signal } from '@preact/signals';
import type { Event } from '../api.ts';
import { flag, words as text } from '../address.ts';
import { amount } from '../numbers.ts';
import { Refusal, words } from '../source.ts';
import type { NewEvent } from '../source.ts';
import { inAddress, run, runId, session, source, whole } from '../state.ts';
import { parseTime } from '../time.ts';
import { readEvents, writeEvents, type Refused } from './csv.ts';
import { add, apply, load, NOTHING, remove, revise, save, type Draft, type Kept } from './kept.ts';
import { loadRules, raise, saveRules, type Rule } from './watch.ts';

export const showSpans = inAddress<boolean>('spans', true, flag, true);
export const showEvents = inAddress<boolean>('events', true, flag, true);
/** Only spans and events whose name has this. */
export const only = inAddress<string>('only', '', text);

/** What the recording has. */
export const recorded = signal<readonly Event[]>([]);
export const leftOut = signal(0);
/** Counts changes that were made here, so that events are asked for again. */
export const revision = signal(0);

const kept = signal<{ run: string; kept: Kept }>({ run: '', kept: NOTHING });

const keptNow = computed<Kept>(() => {
  const id = runId.value;
  if (id === null) return NOTHING;
  return kept.value.run === id ? kept.value.kept : shelf() === null ? NOTHING : load(shelf()!, id);
});

export const rules = signal<readonly Rule[]>(shelf() === null ? [] : loadRules(shelf()!));
/** Events that rules raised, by the rules' ids. */
export const raised = signal<ReadonlyMap<string, readonly Event[]>>(new Map());

export function setRules(changed: readonly Rule[]): void {
  const there = shelf();
  if (there !== null) saveRules(there, changed);
  batch(() => {
    rules.value = changed;
    raised.value = new Map([...raised.peek()].filter(([id]) => changed.some((rule) => rule.id === id && rule.on)));
  });
}

/** All of them, in the order of time. */
export const events = computed<Event[]>(() => [...apply(recorded.value, keptNow.value), ...[...raised.value.values()].flat()].sort((a, b) => a.at - b.at));

/** How many of them only this browser has. */
export const keptCount = computed(() => keptNow.value.added.length + Object.keys(keptNow.value.revised).length);

/** Why events go nowhere but into this browser; null where the recording takes them. */
export const whyKept = computed<string | null>(() => {
  if (source.value.embedded) return 'This is a report: what you add stays in this browser.';
  if (session.value?.readOnly) return 'This page was opened with --read-only: what you add stays in this browser.';
  if (run.value && !run.value.writable) return 'This recording can’t be written to: what you add stays in this browser.';
  return null;
});

/** Whether it can be changed here. What a watch point raised can't: its rule can. */
export const isOurs = (event: Event): boolean => !event.key.startsWith('rule:');

function shelf(): Storage | null {
  try {
    return localStorage;
  } catch {
    return null;
  }
}

function keep(change: (before: Kept) => Kept): void {
  const id = runId.peek();
  if (id === null) return;
  const next = change(keptNow.peek());
  const there = shelf();
  kept.value = { run: id, kept: next };
  if (there === null || !save(there, id, next)) throw new Error('This browser keeps nothing: the event is gone when the page is closed.');
}

const randomKey = (): string => Math.random().toString(36).slice(2) + Date.now().toString(36);

const asNew = (draft: Draft): NewEvent => ({ at: draft.at, name: draft.name, detail: draft.detail ?? undefined, duration: draft.duration ?? undefined });

/** Writes to the recording, or keeps it here where that can't be. */
async function change(write: (run: string) => Promise<unknown>, otherwise: (before: Kept) => Kept, isHere = false): Promise<void> {
  const id = runId.peek();
  if (id === null) return;
  if (isHere || whyKept.peek() !== null) {
    keep(otherwise);
    return;
  }
  await write(id);
  revision.value += 1;
}

export const addEvent = (draft: Draft): Promise<void> => change((id) => source.peek().addEvent(id, asNew(draft)), (before) => add(before, [draft], randomKey));

/** Keeps it in this browser although the recording might take it: what is left when the server said no. */
export function keepEvent(draft: Draft): void {
  keep((before) => add(before, [draft], randomKey));
}

export const changeEvent = (event: Event, draft: Draft): Promise<void> =>
  change((id) => source.peek().changeEvent(id, event.key, asNew(draft)), (before) => revise(before, event, draft), event.key.startsWith('kept:'));

export const deleteEvent = (event: Event): Promise<void> =>
  change((id) => source.peek().deleteEvent(id, event.key), (before) => remove(before, event.key), event.key.startsWith('kept:'));

export interface Outcome { added: number; refused: Refused[]; error: string | null }

/** Adds the events of a CSV file, whose times are in that zone if they name none. */
export async function importEvents(csv: string, zone: string): Promise<Outcome> {
  try {
    const id = runId.peek();
    if (id !== null && whyKept.peek() === null) {
      const { added, refused } = await source.peek().importEvents(id, csv, zone);
      revision.value += 1;
      return { added, refused, error: null };
    }
    const near = whole.peek().from;
    const { events: read, refused } = readEvents(csv, (written) => parseTime(written, zone, near));
    keep((before) => add(before, read.map((each) => ({ ...each, detail: null, duration: null })), randomKey));
    return { added: read.length, refused, error: null };
  } catch (error) {
    return { added: 0, refused: [], error: words(error) };
  }
}

export const isRefusal = (error: unknown): boolean => error instanceof Refusal;

/** Where to fetch all events as CSV: the server has more than was sent here, unless this browser has changed some. */
export function exportAddress(): { href: string; release(): void } {
  const id = runId.peek();
  const address = id === null || keptCount.peek() > 0 ? null : source.peek().eventsAddress(id);
  if (address !== null) return { href: address, release: () => undefined };
  const href = URL.createObjectURL(new Blob([writeEvents(events.peek().filter(isOurs))], { type: 'text/csv' }));
  return { href, release: () => URL.revokeObjectURL(href) };
}

/** What a rule raises in the whole run. */
export function raiseBy(rule: Rule, frame: Parameters<typeof raise>[1]): void {
  raised.value = new Map(raised.peek()).set(rule.id, raise(rule, frame, amount));
}

