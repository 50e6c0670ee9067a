// What a span cost and an event says, beside the lanes.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { Event, Span } from '../api.ts';
import { amount, duration } from '../numbers.ts';
import { words } from '../source.ts';
import { colour, letter, makeFirst, runIds, setView, whole, zoneName } from '../state.ts';
import { clock, dateAndClock } from '../time.ts';
import { deleteEvent, isOurs } from './store.ts';

const NAMES: Record<string, string> = {
  cpu: 'CPU', threadCpu: 'CPU of the thread', processCpu: 'CPU of the process', resident: 'memory', peak: 'peak memory', peakResidentBytes: 'peak memory', read: 'read', written: 'written',
  minorFaults: 'minor faults', majorFaults: 'major faults',
};

/** `process_cpu_seconds` and `processCpu` are the same to a person. */
const named = (key: string): string => NAMES[key] ?? key.replace(/([a-z])([A-Z])/g, '$1 $2').replace(/_(bytes|seconds)$/, '').replaceAll('_', ' ').toLowerCase();

/** To what its colour belongs: spans of one name have one, apart from numbers in it. */
export const hue = (span: Pick<Span, 'name'>): string => `span ${span.name.replace(/\d+/g, '#')}`;

/** What stands first, and alone where there is little room. */
const FIRST = ['CPU', 'tree cpu', 'mean cores', 'tree peak resident', 'read', 'written', 'peak resident'];
const FEW = 6;

/** `brief` is what the pointer is on; all of it is told of what was clicked. */
export function SpanDetail({ span, brief = false, children }: { span: Span; brief?: boolean; children?: ComponentChildren }): ComponentChildren {
  const zone = zoneName.value;
  const to = span.to ?? whole.value.to;
  const rank = ([key]: [string, unknown]): number => (FIRST.indexOf(named(key)) + FIRST.length + 1) % (FIRST.length + 1);
  const all = Object.entries(span.cost).sort((one, other) => rank(one) - rank(other));
  const cost = brief ? all.slice(0, FEW) : all;
  return (
    <div class="detail" data-detail="span">
      <p class="detail-head"><span class="swatch" aria-hidden="true" style={{ background: colour(hue(span)) }} /><b>{span.name}</b>{span.status === 'error' ? <span class="bad">error</span> : span.status === 'open' ? <span class="tag">open</span> : null}<span class="grow" />{children}</p>
      {span.detail ? <p class={span.status === 'error' ? 'bad' : undefined}>{span.detail}</p> : null}
      <p><time title={dateAndClock(span.from, zone, 3)}>{clock(span.from, zone, 3)}</time> · {span.status === 'open' ? 'for ' : ''}<b>{duration((to - span.from) / 1000)}</b>{span.pid !== null ? <span class="hint"> · pid {span.pid}{span.thread !== null && span.thread !== span.pid ? `, thread ${span.thread}` : ''}</span> : null}</p>
      {cost.length > 0 ? (
        <table class="cost">
          <tbody>
            {cost.map(([key, { value, how, unit }]) => (
              <tr key={key}><th scope="row">{named(key)}</th><td class="number">{brief && how === 'sampled' ? '≈ ' : ''}{amount(value, unit)}</td><td class={brief ? 'hidden-label' : 'hint'} title={how === 'exact' ? 'Read by the program at both ends' : 'Worked out from the samples around'}>{how}</td></tr>
            ))}
          </tbody>
        </table>
      ) : null}
      <Attributes all={span.attributes} />
      {all.length > cost.length && <p class="hint">{all.length - cost.length} more figures: click</p>}
    </div>
  );
}

export function MergedDetail({ spans, children }: { spans: readonly Span[]; children?: ComponentChildren }): ComponentChildren {
  const names = new Map<string, number>();
  for (const span of spans) names.set(span.name, (names.get(span.name) ?? 0) + 1);
  return (
    <div class="detail" data-detail="spans">
      <p class="detail-head"><b>{spans.length} spans</b> <span class="hint">too short to draw one by one; click to zoom</span><span class="grow" />{children}</p>
      <p>{[...names].slice(0, 6).map(([name, count]) => `${name} ×${count}`).join(', ')}{names.size > 6 ? ` and ${names.size - 6} more` : ''}</p>
    </div>
  );
}

function Attributes({ all }: { all: Record<string, unknown> | null }): ComponentChildren {
  const entries = Object.entries(all ?? {});
  if (entries.length === 0) return null;
  return (
    <dl class="attributes">
      {entries.slice(0, 12).map(([key, value]) => <div key={key}><dt>{key}</dt><dd>{typeof value === 'string' ? value : JSON.stringify(value)}</dd></div>)}
    </dl>
  );
}

/** Events of other runs than the first, and whose they are: they are changed where their run is the first. */
export const foreign = new WeakMap<Event, string>();

const BY: Record<string, string> = { recorder: 'seen by the recorder', program: 'said by the program', person: 'added by a person', rule: 'raised by a rule' };

export function EventDetail({ all, onEdit, children }: { all: readonly Event[]; onEdit(event: Event): void; children?: ComponentChildren }): ComponentChildren {
  const [error, setError] = useState<string | null>(null);
  const zone = zoneName.value;
  const [event] = all;
  if (!event) return null;
  const whose = foreign.get(event) ?? null;
  if (all.length > 1) {
    return (
      <div class="detail" data-detail="events">
        <p class="detail-head"><b>{all.length} events</b><span class="grow" />{children}</p>
        <ul>{all.slice(0, 8).map((each) => <li key={each.key}><span class="hint">{clock(each.at, zone, 1)}</span> {each.name}</li>)}</ul>
      </div>
    );
  }
  return (
    <div class="detail" data-detail="event">
      <p class="detail-head"><b>{event.name}</b><span class="grow" />{children}</p>
      <p><time title={dateAndClock(event.at, zone, 3)}>{dateAndClock(event.at, zone, 3)}</time>{event.duration ? <> · <b>{duration(event.duration / 1000)}</b></> : null}</p>
      {event.detail ? <p>{event.detail}</p> : null}
      <p class="hint">{event.key.startsWith('kept:') ? 'kept in this browser' : (BY[event.by] ?? event.by)}{event.pid !== null ? ` · pid ${event.pid}` : ''}</p>
      <Attributes all={event.attributes} />
      {error ? <p class="problem" role="alert">{error}</p> : null}
      <p class="row">
        {isOurs(event) ? <button type="button" disabled={whose !== null} onClick={() => onEdit(event)}>Edit…</button> : null}
        {isOurs(event) ? <button type="button" disabled={whose !== null} onClick={() => deleteEvent(event).catch((problem: unknown) => setError(words(problem)))}>Delete</button> : null}
        {event.duration ? <button type="button" onClick={() => setView({ from: event.at - event.duration! * 0.1, to: event.at + event.duration! * 1.1 })}>Zoom</button> : null}
      </p>
      {whose !== null && isOurs(event) ? <p class="hint">It is of run {letter(runIds.value.indexOf(whose))}. Events are changed in the run that is first: <button type="button" class="link" onClick={() => makeFirst(whose)}>make {letter(runIds.value.indexOf(whose))} the first</button></p> : null}
    </div>
  );
}
