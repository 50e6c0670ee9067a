// Events of a recording that can't be written to: kept in this browser, by the recording's id, on top of what the recording has.
import type { Event } from '../api.ts';

/** What a person did: new events, and by their keys others changed, or taken away (`null`). */
export interface Kept { added: Event[]; revised: Record<string, Event | null> }

/** What localStorage is to us. */
export interface Shelf { getItem(key: string): string | null; setItem(key: string, value: string): void; removeItem(key: string): void }

export const NOTHING: Kept = { added: [], revised: {} };

const PREFIX = 'barograph.events.';

/** What the person says of an event. */
export interface Draft { at: number; name: string; detail: string | null; duration: number | null }

export function load(shelf: Shelf, run: string): Kept {
  try {
    const value: unknown = JSON.parse(shelf.getItem(PREFIX + run) ?? 'null');
    return isKept(value) ? value : NOTHING;
  } catch {
    return NOTHING;
  }
}

function isKept(value: unknown): value is Kept {
  if (typeof value !== 'object' || value === null || !('added' in value) || !('revised' in value)) return false;
  return Array.isArray(value.added) && typeof value.revised === 'object' && value.revised !== null && value.added.every((each: unknown) => typeof each === 'object' && each !== null && 'at' in each && 'key' in each);
}

/** Says whether there was room for it. */
export function save(shelf: Shelf, run: string, kept: Kept): boolean {
  try {
    if (kept.added.length === 0 && Object.keys(kept.revised).length === 0) shelf.removeItem(PREFIX + run);
    else shelf.setItem(PREFIX + run, JSON.stringify(kept));
    return true;
  } catch {
    return false;
  }
}

export function add(kept: Kept, drafts: readonly (Draft & { attributes?: Event['attributes'] })[], key: () => string): Kept {
  const events = drafts.map((draft): Event => ({ key: `kept:${key()}`, at: draft.at, duration: draft.duration, name: draft.name, detail: draft.detail, by: 'person', pid: null, attributes: draft.attributes ?? null }));
  return { ...kept, added: [...kept.added, ...events] };
}

export function revise(kept: Kept, event: Event, draft: Draft): Kept {
  const changed: Event = { ...event, ...draft };
  if (kept.added.some((each) => each.key === event.key)) return { ...kept, added: kept.added.map((each) => (each.key === event.key ? changed : each)) };
  return { ...kept, revised: { ...kept.revised, [event.key]: changed } };
}

export function remove(kept: Kept, key: string): Kept {
  if (kept.added.some((each) => each.key === key)) return { ...kept, added: kept.added.filter((each) => each.key !== key) };
  return { ...kept, revised: { ...kept.revised, [key]: null } };
}

/** The recording's events as the person left them, in the order of time. */
export function apply(events: readonly Event[], kept: Kept): Event[] {
  const revised = events.flatMap((event) => {
    const change = kept.revised[event.key];
    return change === undefined ? [event] : change === null ? [] : [change];
  });
  return [...revised, ...kept.added].sort((a, b) => a.at - b.at);
}
