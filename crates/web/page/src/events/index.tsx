// Spans as slices and events as flags, above the charts and on their axis.
import './events.css';
import { computed, signal, useComputed, useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import type { Event, Span } from '../api.ts';
import { useFetched } from '../charts/fetch.ts';
import { Columns } from '../charts/columns.tsx';
import { sheet, useSheet, width } from '../charts/sheet.ts';
import { introduce } from '../colours.ts';
import { bind } from '../keys.ts';
import { colour, cursor, focus, following, grown, letter, live, moment, run, runId, selection, setView, shownRuns, sideBySide, source, view, whole } from '../state.ts';
import type { Shown } from '../state.ts';
import { Icon, Menu, TimeRow } from '../ui/ui.tsx';
import { EventDetail, foreign, hue, MergedDetail, SpanDetail } from './detail.tsx';
import { All, Edit, Import, type Editing } from './editor.tsx';
import { events, exportAddress, keptCount, leftOut, only, recorded, revision, showEvents, showSpans, whyKept, rules } from './store.ts';
import { due, flags, laneTitle, neighbour, slices, stack, type Flag, type Lane, type Slice } from './stack.ts';
import { Watch, WatchPoints } from './watching.tsx';

/** No more spans than this are asked for: about what can be told apart. */
const MOST = 2500;
const ROW = 18;

/** What the pointer is on, and what was clicked. */
const hovered = signal<Span[] | Event[] | null>(null);
const chosen = signal<Span[] | Event[] | null>(null);

export const editing = signal<Editing | null>(null);
const dialog = signal<'import' | 'all' | 'watch' | null>(null);

/** Begins a new event: where the cursor is, else at the moment, else now. */
export function mark(): void {
  editing.value = { event: null, at: focus.peek() ?? (live.peek() ? Date.now() : whole.peek().to), now: focus.peek() === null && live.peek() };
}

const wanted = computed(() => only.value.trim().toLowerCase());
const isWanted = (each: { name: string }): boolean => wanted.value === '' || each.name.toLowerCase().includes(wanted.value);

export function Lanes(): ComponentChildren {
  return <LanesOf key={runId.value} />;
}

function LanesOf(): ComponentChildren {
  const count = useSignal(0);
  const step = useComputed(() => (following.value ? due(view.value, width.value, count.value) : null));
  const spans = useFetched(() => {
    const id = runId.value;
    const { from, to, over } = step.value === null ? sheet.value : sheet.peek();
    if (id === null || run.value === null || !showSpans.value) return null;
    // A little more than what is seen, so that a small move shows no emptiness.
    const more = over > 0 ? 0 : (to - from) / 2;
    return (abort) => source.peek().spans(id, from - more, to + more, MOST, abort);
  });
  const asked = useFetched(() => {
    const id = runId.value;
    const { from, to } = whole.value;
    void revision.value;
    void grown.value;
    return id === null || run.value === null ? null : (abort) => source.peek().events(id, from - 60_000, to + 60_000, abort);
  }, [], 100);
  useEffect(() => {
    if (asked.value.value === null) return;
    recorded.value = asked.value.value.events;
    leftOut.value = asked.value.value.left_out;
  }, [asked.value.value]);
  useEffect(() => () => {
    recorded.value = [];
    hovered.value = null;
    chosen.value = null;
  }, []);
  useEffect(() => {
    const jump = (direction: 1 | -1): void => {
      const next = neighbour(events.peek().filter(isWanted), moment.peek() ?? (direction > 0 ? -Infinity : Infinity), direction);
      if (next) go(next);
    };
    return bind(
      ...(source.peek().embedded ? [] : [{ keys: ['m'], says: 'mark this moment with a name', group: 'Events' as const, act: mark }]),
      { keys: ['['], says: 'the event before', group: 'Events', act: () => jump(-1) },
      { keys: [']'], says: 'the next event', group: 'Events', act: () => jump(1) },
    );
  }, []);

  const found = spans.value.value;
  useEffect(() => {
    count.value = found?.spans.length ?? 0;
  }, [found]);
  const end = whole.value.to;
  const seen = wanted.value;
  const lanes = useMemo(() => {
    introduce([...new Set((found?.spans ?? []).map((span) => hue(span)))]);
    return stack((found?.spans ?? []).filter(isWanted), end);
  }, [found, end, seen]);
  const shownEvents = showEvents.value ? events.value.filter(isWanted) : [];
  const hasAny = lanes.length > 0 || (found?.spans.length ?? 0) > 0;
  const detail = <Detail />;
  return (
    <section class={`lanes${lanes.length > 0 && showSpans.value ? ' has-spans' : ''}`} aria-label="Spans and events">
      <div class="lanes-body">
        <div class="lanes-bar">
          <label class="check"><input type="checkbox" checked={showSpans.value} onChange={(event) => (showSpans.value = event.currentTarget.checked)} /> spans</label>
          <label class="check"><input type="checkbox" checked={showEvents.value} onChange={(event) => (showEvents.value = event.currentTarget.checked)} /> events <span class="count">{events.value.length > 0 ? events.value.length : ''}</span></label>
          <input type="search" class="only" placeholder="Only names with…" aria-label="Show only spans and events whose name has this" value={only.value} onInput={(event) => (only.value = event.currentTarget.value)} />
          {found && found.left_out > 0 ? <span class="hint">{found.left_out} shorter spans are not drawn: zoom in</span> : null}
          {leftOut.value > 0 ? <span class="hint">{leftOut.value} events are left out</span> : null}
          {spans.error.value ?? asked.error.value ? <span class="problem" role="alert">{spans.error.value ?? asked.error.value}</span> : null}
          <span class="grow" />
          {keptCount.value > 0 ? <span class="hint" title={whyKept.value ?? undefined}>{keptCount.value} kept in this browser only</span> : null}
          {source.value.embedded ? null : <Tools />}
        </div>
        {sideBySide.value ? <Columns>{(shown, place) => (place === 0 ? <Drawn events={shownEvents} lanes={lanes} /> : <Others shown={shown} />)}</Columns> : <Drawn events={shownEvents} lanes={lanes} letter={shownRuns.value.length > 1 ? letter(0) : ''} />}
        {sideBySide.value ? null : shownRuns.value.slice(1).map((shown, at) => <Others key={shown.id} shown={shown} letter={letter(at + 1)} />)}
        {showSpans.value && !hasAny && shownEvents.length === 0 ? (
          <p class="lanes-empty hint">{found === null ? '' : <>No spans or events here.{source.value.embedded ? '' : <> Press <kbd>m</kbd> to mark a moment; programs say spans themselves: <code>barograph span NAME -- COMMAND</code>.</>}</>}</p>
        ) : null}
      </div>
      <div class={`lanes-side${chosen.value === null ? '' : ' held'}`}>{detail}</div>
      {editing.value ? <Edit key={editing.value.event?.key ?? 'new'} what={editing.value} onClose={() => (editing.value = null)} /> : null}
      {dialog.value === 'import' ? <Import onClose={() => (dialog.value = null)} /> : null}
      {dialog.value === 'all' ? <All onClose={() => (dialog.value = null)} onGo={go} onEdit={(event) => (editing.value = { event, at: event.at, now: false })} /> : null}
      {dialog.value === 'watch' ? <Watch onClose={() => (dialog.value = null)} /> : null}
      <WatchPoints />
    </section>
  );
}

/** Flags and lanes of one run. */
function Drawn({ events: all, lanes, letter: of = '' }: { events: readonly Event[]; lanes: readonly Lane[]; letter?: string }): ComponentChildren {
  return (
    <>
      {showEvents.value && all.length > 0 ? (
        <TimeRow gutter={of ? <b class="run-letter" title={`Events of run ${of}`}>{of}</b> : <span class="hint">events</span>} class="flags" height={24}>
          <Flags all={all} />
        </TimeRow>
      ) : null}
      {showSpans.value && lanes.length > 0 ? (
        <div class="lanes-rows">
          {lanes.map((lane) => <LaneOf key={lane.id} lane={lane} lanes={lanes} letter={of} />)}
        </div>
      ) : null}
    </>
  );
}

/** Those of another run than the first, at the times where that run was moved to; to be looked at, not to be changed. */
function Others({ shown, letter: of = '' }: { shown: Shown; letter?: string }): ComponentChildren {
  const { id, offset } = shown;
  const spans = useFetched(() => {
    const { from, to, over } = sheet.value;
    void shownRuns.value;
    if (!showSpans.value) return null;
    const more = over > 0 ? 0 : (to - from) / 2;
    return async (abort) => (await source.peek().spans(id, from - more - offset, to + more - offset, MOST, abort)).spans.map((span) => ({ ...span, from: span.from + offset, to: span.to === null ? null : span.to + offset }));
  }, [id, offset]);
  const asked = useFetched(() => {
    const { from, to } = whole.value;
    void grown.value;
    return async (abort) => (await source.peek().events(id, from - offset - 60_000, to - offset + 60_000, abort)).events.map((event) => {
      const moved = { ...event, at: event.at + offset };
      foreign.set(moved, id);
      return moved;
    });
  }, [id, offset], 100);
  const found = spans.value.value;
  const seen = wanted.value;
  const lanes = useMemo(() => {
    introduce([...new Set((found ?? []).map((span) => hue(span)))]);
    return stack((found ?? []).filter(isWanted), shown.to + offset);
  }, [found, shown.to, offset, seen]);
  return <Drawn events={(asked.value.value ?? []).filter(isWanted)} lanes={lanes} letter={of} />;
}

/** What can be done with events where there is a server. */
function Tools(): ComponentChildren {
  return (
    <>
      <button type="button" title={shownRuns.value.length > 1 ? 'Name a moment of the first run (m)' : 'Name a moment (m)'} onClick={mark}><Icon name="flag" /> Mark…</button>
      <Menu label="Events ▾" title="Events: list, import, export, watch points">
        {(close) => (
          <>
            {([['all', 'All events…'], ['import', 'Import CSV…'], ['watch', `Watch points…${rules.value.length > 0 ? ` (${rules.value.length})` : ''}`]] as const).map(([name, says]) => (
              <button type="button" class="quiet item" key={name} onClick={() => {
                close();
                dialog.value = name;
              }}>{says}</button>
            ))}
            <button type="button" class="quiet item" onClick={() => {
              close();
              download();
            }}>Export CSV</button>
          </>
        )}
      </Menu>
    </>
  );
}

/** Takes an event as the moment, and moves there if it is not in sight. */
function go(event: Event): void {
  moment.value = event.at;
  chosen.value = [event];
  const { from, to } = view.peek();
  if (event.at < from || event.at > to) setView({ from: event.at - (to - from) / 2, to: event.at + (to - from) / 2 });
}

function download(): void {
  const { href, release } = exportAddress();
  const link = document.createElement('a');
  link.href = href;
  link.download = `${(run.peek()?.name ?? 'run').replace(/\.[a-z]+$/, '')}-events.csv`;
  link.click();
  setTimeout(release, 60_000);
}

function Flags({ all }: { all: readonly Event[] }): ComponentChildren {
  const { on: { from, to }, wide } = useSheet();
  const drawn = flags(all, from, to, wide);
  return drawn.map((flag, place) => <FlagOf key={flag.events[0]!.key} flag={flag} room={(drawn[place + 1]?.x ?? wide) - flag.x} wide={wide} scale={wide / (to - from)} />);
}

function FlagOf({ flag, room, wide, scale }: { flag: Flag<Event>; room: number; wide: number; scale: number }): ComponentChildren {
  const event = flag.events[0]!;
  const one = flag.events.length === 1;
  const isChosen = chosen.value?.includes(event as never) ?? false;
  const lasted = one && event.duration ? Math.min(event.duration * scale, 4000) : 0;
  return (
    <>
      {lasted > 1 ? <i class={`flag-span by-${event.by}`} style={{ left: `${(flag.x / wide) * 100}%`, width: `${(lasted / wide) * 100}%` }} /> : null}
      <button
        type="button"
        class={`flag by-${event.by}${isChosen ? ' chosen' : ''}`}
        style={{ left: `${(flag.x / wide) * 100}%`, maxWidth: `${Math.max(14, room - 2)}px` }}
        aria-label={one ? `Event ${event.name}` : `${flag.events.length} events, the first is ${event.name}`}
        data-event={event.key}
        onPointerEnter={() => point(flag.events, event.at)}
        onPointerLeave={() => point(null, null)}
        onFocus={() => point(flag.events, event.at)}
        onBlur={() => point(null, null)}
        onClick={() => {
          chosen.value = flag.events;
          moment.value = event.at;
          if (!one) setView(padded(event.at, flag.events[flag.events.length - 1]!.at));
        }}
      >
        <svg width="8" height="12" viewBox="0 0 8 12" aria-hidden="true"><path d="M1 12V1h6l-2 2.500 2 2.500H1" /></svg>
        {room > 26 ? <span>{one ? event.name : `${flag.events.length} events`}</span> : null}
      </button>
    </>
  );
}

function LaneOf({ lane, lanes, letter: of }: { lane: Lane; lanes: readonly Lane[]; letter: string }): ComponentChildren {
  const { brief, full } = laneTitle(lane, lanes);
  return (
    <TimeRow gutter={<span class="lane-title" title={of ? `Run ${of}, ${full}` : full}>{of ? <b class="run-letter">{of}</b> : brief}</span>} height={lane.rows.length * ROW + 4} class="lane">
      <Slices lane={lane} />
    </TimeRow>
  );
}

function Slices({ lane }: { lane: Lane }): ComponentChildren {
  const { on: { from, to }, wide } = useSheet();
  return lane.rows.map((row, depth) => slices(row, from, to, wide).map((slice) => <SliceOf key={slice.spans[0]!.id} slice={slice} depth={depth} wide={wide} />));
}

function SliceOf({ slice, depth, wide }: { slice: Slice; depth: number; wide: number }): ComponentChildren {
  const [span] = slice.spans as [Span];
  const one = slice.spans.length === 1;
  const same = slice.spans.every((each) => each.name === span.name);
  const isChosen = one && (chosen.value?.some((each) => 'id' in each && each.id === span.id) ?? false);
  const faulty = slice.spans.some((each) => each.status === 'error');
  return (
    <button
      type="button"
      class={`slice${slice.cutLeft ? ' cut-left' : ''}${slice.cutRight ? ' cut-right' : ''}${one && span.status === 'open' ? ' open' : ''}${faulty ? ' error' : ''}${isChosen ? ' chosen' : ''}`}
      style={{ left: `${(slice.x / wide) * 100}%`, width: `max(1px, ${(slice.width / wide) * 100}%)`, top: `${depth * ROW + 2}px`, '--hue': same ? colour(hue(span)) : 'var(--others)' }}
      aria-label={one ? `Span ${span.name}` : `${slice.spans.length} spans${same ? ` ${span.name}` : ''}`}
      data-span={one ? span.id : undefined}
      onPointerEnter={() => point(slice.spans, null)}
      onPointerLeave={() => point(null, null)}
      onFocus={() => point(slice.spans, null)}
      onBlur={() => point(null, null)}
      onClick={() => {
        const to = Math.max(...slice.spans.map((each) => each.to ?? whole.peek().to));
        chosen.value = slice.spans;
        if (one) selection.value = { from: span.from, to: Math.max(to, span.from + 1) };
        setView(padded(span.from, to));
      }}
    >
      {slice.width > 24 ? <span>{one ? span.name : `${slice.spans.length} ×`}</span> : null}
    </button>
  );
}

/** A stretch with a little room on both sides. */
function padded(from: number, to: number): { from: number; to: number } {
  const room = Math.max(10, (to - from) * 0.08);
  return { from: from - room, to: to + room };
}

function point(at: Span[] | Event[] | null, time: number | null): void {
  hovered.value = at;
  if (time !== null) cursor.value = time;
}

/** What is under the pointer, else what was clicked. */
function Detail(): ComponentChildren {
  const what = hovered.value ?? chosen.value;
  if (what === null || what.length === 0) return null;
  const isHeld = hovered.value === null;
  const close = isHeld ? <button type="button" class="quiet icon" aria-label="Close" onClick={() => (chosen.value = null)}><Icon name="close" size={12} /></button> : null;
  const [first] = what;
  if (first && 'id' in first) {
    return what.length === 1 ? <SpanDetail span={first} brief={!isHeld}>{close}</SpanDetail> : <MergedDetail spans={what as Span[]}>{close}</MergedDetail>;
  }
  // What was clicked may have been changed since.
  const current = (what as Event[]).flatMap((event) => foreign.has(event) ? event : (events.value.find((each) => each.key === event.key) ?? []));
  return <EventDetail all={current} onEdit={(event) => (editing.value = { event, at: event.at, now: false })}>{close}</EventDetail>;
}
