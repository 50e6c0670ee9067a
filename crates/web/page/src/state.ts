// What the page knows and shows, as signals. What a link should carry is in the address; what a person would not want to set twice is remembered.
import { batch, computed, effect, signal } from '@preact/signals';
import type { Signal } from '@preact/signals';
import type { Panel, Run, RunHead, Session } from './api.ts';
import { choice, chosen, flag, list, moment as momentNotation, number, oneOf, process as processNotation, range as rangeNotation, readAddress, stretch, usual, words as wordsNotation, writeAddress } from './address.ts';
import type { Choice, Notation } from './address.ts';
import { colourOf } from './colours.ts';
import { words } from './source.ts';
import type { Source } from './source.ts';
import { MINUTE, SECOND, isZone, localZone, resolve, within, zoomed } from './time.ts';
import type { Range, Stretch } from './time.ts';

// — What stands in the address —

interface Addressed { name: string; remember: boolean; text(): string | null; take(text: string | null): void }

const addressed: Addressed[] = [];

/** A signal that stands in the address under a name, where it differs from its usual value; with `remember`, also kept by the browser. */
export function inAddress<T>(name: string, usual: T, notation: Notation<NonNullable<T>>, remember = false): Signal<T> {
  const value = signal<T>(usual);
  addressed.push({
    name,
    remember,
    text: () => (value.value == null || value.value === usual ? null : notation.write(value.value as NonNullable<T>)),
    take: (text) => {
      const read = text === null ? usual : (notation.read(text) ?? usual);
      // Reading back what stands there must not look like a change.
      const written = (it: T): string | null => (it == null ? null : notation.write(it as NonNullable<T>));
      if (written(read) !== written(value.peek())) value.value = read;
    },
  });
  return value;
}

/** The runs that are shown, by their ids; the first is the one that the header, the moment and the lanes are about. */
export const runIds = inAddress<string[]>('run', [], list);
export const range = inAddress<Range | null>('range', null, rangeNotation);
/** The moment that was clicked: the process table is of then. */
export const moment = inAddress<number | null>('at', null, momentNotation);
/** The moment that it is compared with. */
export const comparedWith = inAddress<number | null>('compare', null, momentNotation);
/** A stretch whose totals are shown. */
export const selection = inAddress<Stretch | null>('select', null, stretch);
export const process = inAddress<{ pid: number; startTicks: number } | null>('process', null, processNotation);
export const paused = inAddress<boolean>('pause', false, flag);
export const panelChoice = inAddress<Choice | null>('panels', null, choice, true);
/** Several runs lie on each other, or each has a column of its own. */
export const arrangement = inAddress<'overlay' | 'side'>('runs', 'overlay', oneOf('overlay', 'side'), true);
/** Means over so many samples. */
export const smoothing = inAddress<number>('smooth', 1, number(1, 10), true);
export const theme = inAddress<'system' | 'light' | 'dark'>('theme', 'system', oneOf('system', 'light', 'dark'), true);
/** `local`, `data` (where the run was made), or an IANA name. */
export const zone = inAddress<string>('zone', 'local', { read: (text) => (text === 'local' || text === 'data' || isZone(text) ? text : null), write: wordsNotation.write }, true);

// — What is known —

export const source = signal<Source>(undefined as unknown as Source);
export const session = signal<Session | null>(null);
/** Why nothing can be shown at all. */
export const failure = signal<string | null>(null);
/** Whether the server is heard. */
export const connected = signal(true);
/** Facts of the runs that are shown, as far as they are here. */
export const runs = signal<ReadonlyMap<string, Run>>(new Map());
/** Why runs can't be shown. */
export const refused = signal<ReadonlyMap<string, string>>(new Map());
/** Milliseconds that are added to the times of a run, so that runs lie on each other. */
export const offsets = signal<ReadonlyMap<string, number>>(new Map());
/** Up to when there is data of a run that grows. */
const ends = signal<ReadonlyMap<string, number>>(new Map());
/** Counts what happened that makes events, spans and processes worth asking for again. */
export const grown = signal(0);

/** The run that the header is about. */
export const run = computed<Run | null>(() => runs.value.get(runIds.value[0] ?? '') ?? null);
export const runId = computed<string | null>(() => runIds.value[0] ?? null);
export const live = computed(() => run.value?.state === 'live');

export interface Shown { id: string; run: Run; offset: number; to: number }

/** The runs that are shown and known, with what is added to their times. */
export const shownRuns = computed<Shown[]>(() =>
  runIds.value.flatMap((id) => {
    const known = runs.value.get(id);
    return known ? [{ id, run: known, offset: offsets.value.get(id) ?? 0, to: Math.max(known.to, ends.value.get(id) ?? -Infinity) }] : [];
  }),
);

export const sideBySide = computed(() => arrangement.value === 'side' && shownRuns.value.length > 1);
/** What a run is called for short, by its place among those that are shown. */
export const letter = (place: number): string => String.fromCharCode(65 + (place % 26));

/** From the first to the last row of all that is shown. */
export const whole = computed<Stretch>(() => {
  const shown = shownRuns.value;
  if (shown.length === 0) return { from: 0, to: SECOND };
  const from = Math.min(...shown.map(({ run, offset }) => run.from + offset));
  return { from, to: Math.max(from + SECOND, ...shown.map(({ to, offset }) => to + offset)) };
});

// — What is looked at —

/** Where the pointer or the keyboard is, in time; null if nowhere. */
export const cursor = signal<number | null>(null);
/** Whether the pointer is on something that should hold still. */
export const hovering = signal(false);
/** Whether the page goes along with a run that grows. */
export const following = computed(() => live.value && !paused.value && !hovering.value && range.value?.kind !== 'free');
/** The range that is in force: by itself the last half hour of what grows, and all of what has ended. */
export const activeRange = computed<Range>(() => range.value ?? (live.value ? { kind: 'last', length: 30 * MINUTE } : { kind: 'all' }));

const heldWhole = signal<Stretch>({ from: 0, to: SECOND });

/** What is looked at: the horizontal axis of everything. */
export const view = computed<Stretch>(() => resolve(activeRange.value, heldWhole.value));
/** Whether what is looked at is being moved along, from frame to frame. */
export const panning = signal(false);
let rested: Stretch = { from: 0, to: SECOND };
/** What is looked at, for what takes longer than a frame: it stays as it is until that holds still. */
export const restedView = computed<Stretch>(() => (panning.value ? rested : (rested = view.value)));
/** The instant whose numbers stand in legends: under the cursor, else the moment. */
export const focus = computed<number | null>(() => cursor.value ?? moment.value);
export const panels = computed<Panel[]>(() => chosen(usual(run.value?.panels ?? []), panelChoice.value));

/** The zone that times are shown in, by its IANA name. */
export const zoneName = computed(() => (zone.value === 'local' ? localZone() : zone.value === 'data' ? (run.value?.zone && isZone(run.value.zone) ? run.value.zone : 'UTC') : zone.value));

const systemIsDark = signal(false);
/** Whether the page is on its way to paper, which is white. */
export const printing = signal(false);
export const dark = computed(() => !printing.value && (theme.value === 'dark' || (theme.value === 'system' && systemIsDark.value)));
/** The colour of an identity in the theme. */
export const colour = (identity: string): string => colourOf(identity, dark.value);

// — What can be done —

export function setView(to: Stretch): void {
  const all = whole.value;
  const held = within(to, all);
  // All of it is all of it, also when it grows.
  if (held.from <= all.from && held.to >= all.to) range.value = live.value ? { kind: 'all' } : null;
  else range.value = { kind: 'free', from: held.from, to: held.to };
}

/** Zooms by a factor around an instant: by itself the cursor, or the middle. */
export function zoomBy(factor: number, around?: number): void {
  const { from, to } = view.value;
  const inside = focus.value !== null && focus.value >= from && focus.value <= to ? focus.value : (from + to) / 2;
  setView(zoomed({ from, to }, factor, around ?? inside, whole.value));
}

/** Moves what is looked at by a part of its length. */
export function panBy(part: number): void {
  const { from, to } = view.value;
  const by = (to - from) * part;
  setView({ from: from + by, to: to + by });
}

/** All of it again; what grows is followed again. */
export function resetView(): void {
  batch(() => {
    range.value = null;
    selection.value = null;
  });
}

/** Goes along with a run that grows. */
export function follow(): void {
  batch(() => {
    if (range.value?.kind === 'free') range.value = null;
    paused.value = false;
    hovering.value = false;
  });
}

export function togglePause(): void {
  if (!live.value) return;
  if (paused.value || range.value?.kind === 'free') follow();
  else paused.value = true;
}

/** Shows these runs and nothing else. */
export function openRuns(ids: string[]): void {
  batch(() => {
    runIds.value = ids;
    range.value = null;
    moment.value = null;
    comparedWith.value = null;
    selection.value = null;
    process.value = null;
    offsets.value = new Map();
  });
}

/** Makes one of the runs that are shown the first: what is looked at closely, and changed, is of it. */
export function makeFirst(id: string): void {
  batch(() => {
    runIds.value = [id, ...runIds.peek().filter((each) => each !== id)];
    for (const at of [range, moment, comparedWith, selection, process]) at.value = null;
  });
}

// — How it is kept up to date —

/** Asks for the session again. */
export async function refreshSession(): Promise<void> {
  try {
    takeSession(await source.peek().session());
  } catch (error) {
    if (session.peek()) connected.value = false;
    else failure.value = words(error);
  }
}

/** Takes what the server said it is. */
export function takeSession(told: Session): void {
  batch(() => {
    const [before, now] = [session.peek()?.machine, told.machine];
    session.value = told;
    // Another recording of the machine has taken the place of the one before, and what was looked at is in it.
    if (before && now && before !== now) runIds.value = runIds.peek().map((id) => (id === before ? now : id));
    failure.value = null;
    connected.value = true;
    if (runIds.peek().length === 0 && told.first) runIds.value = [told.first];
  });
}

/** Asks for a run's facts again. */
export async function refreshRun(id: string): Promise<void> {
  try {
    const known = await source.peek().run(id);
    batch(() => {
      runs.value = new Map(runs.peek()).set(id, known);
      if (refused.peek().has(id)) refused.value = new Map([...refused.peek()].filter(([other]) => other !== id));
      if (!ends.peek().has(id)) ends.value = new Map(ends.peek()).set(id, known.to);
    });
  } catch (error) {
    if (!runs.peek().has(id)) refused.value = new Map(refused.peek()).set(id, words(error));
  }
}

/** The run's head in the list of the session. */
export const headOf = (id: string): RunHead | undefined => session.value?.runs.find((head) => head.id === id);

/** Begins: takes what stands in the address, or was remembered, and keeps both. */
export function start(from: Source): void {
  source.value = from;
  takeAddress();
  addEventListener('hashchange', takeAddress);
  keepAddress();
  keepTheme();
  keepView();
  keepRuns();
  void refreshSession();
  if (!from.embedded) {
    from.watchSession({
      runs: () => void refreshSession(),
      connected: (open) => {
        const wasLost = open && !connected.peek();
        connected.value = open;
        if (wasLost) void refreshSession().then(() => Promise.all(runIds.peek().map(refreshRun)));
      },
    });
  }
}

const STORED = 'barograph.';

const stored: { read(name: string): string | null; write(name: string, text: string | null): void } = {
  // A browser may forbid it: then nothing is remembered, and nothing else is lost.
  read: (name) => {
    try {
      return localStorage.getItem(STORED + name);
    } catch {
      return null;
    }
  },
  write: (name, text) => {
    try {
      if (text === null) localStorage.removeItem(STORED + name);
      else localStorage.setItem(STORED + name, text);
    } catch {
      // See above.
    }
  },
};

let begun = false;

function takeAddress(): void {
  const parts = readAddress(location.hash);
  batch(() => {
    for (const { name, remember, take } of addressed) take(parts.get(name) ?? (remember && !begun ? stored.read(name) : null));
  });
  begun = true;
}

function keepAddress(): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let latest = '';
  const kept = new Map<string, string | null>();
  effect(() => {
    const parts: [string, string][] = [];
    for (const { name, remember, text } of addressed) {
      const said = text();
      if (said !== null) parts.push([name, said]);
      if (remember && kept.get(name) !== said) {
        kept.set(name, said);
        stored.write(name, said);
      }
    }
    latest = writeAddress(parts);
    // Browsers count changes of the address, and refuse too many: it is written once what is looked at holds still.
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (latest !== location.hash) history.replaceState(null, '', latest || location.pathname + location.search);
    }, 250);
  });
}

function keepTheme(): void {
  const paper = matchMedia('print');
  printing.value = paper.matches;
  paper.addEventListener('change', () => (printing.value = paper.matches));
  addEventListener('beforeprint', () => (printing.value = true));
  addEventListener('afterprint', () => (printing.value = false));
  const query = matchMedia('(prefers-color-scheme: dark)');
  systemIsDark.value = query.matches;
  query.addEventListener('change', () => (systemIsDark.value = query.matches));
  effect(() => {
    document.documentElement.dataset.theme = dark.value ? 'dark' : 'light';
  });
}

/** While a run is followed, what is looked at goes along; else it holds still. */
function keepView(): void {
  let of = '';
  effect(() => {
    const now = whole.value;
    const shown = runIds.value.join() + shownRuns.value.length;
    const changed = shown !== of || heldWhole.peek().from !== now.from;
    if (following.value || changed || !live.value) {
      of = shown;
      heldWhole.value = now;
    }
  });
}

function keepRuns(): void {
  const watched = new Map<string, () => void>();
  effect(() => {
    const wanted = new Set(runIds.value);
    const states = new Map(runIds.value.map((id) => [id, runs.value.get(id)?.state]));
    for (const [id, stop] of watched) {
      if (wanted.has(id) && states.get(id) === 'live') continue;
      stop();
      watched.delete(id);
    }
    for (const id of wanted) {
      if (states.get(id) === undefined) {
        if (!asked.has(id)) {
          asked.add(id);
          void refreshRun(id).finally(() => asked.delete(id));
        }
      } else if (states.get(id) === 'live' && !watched.has(id)) watched.set(id, watch(id));
    }
  });
}

const asked = new Set<string>();

function watch(id: string): () => void {
  return source.peek().watchRun(id, {
    grown: (to) => {
      batch(() => {
        ends.value = new Map(ends.peek()).set(id, to);
        grown.value += 1;
      });
    },
    // The list of runs tells states too.
    state: () => void Promise.all([refreshRun(id), refreshSession()]),
    facts: () => void refreshRun(id),
  });
}

/** Tries a run again that could not be shown. */
export function retry(id: string): void {
  refused.value = new Map([...refused.peek()].filter(([other]) => other !== id));
  void refreshRun(id);
}

