// Adding, changing, importing and listing events.
import { useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import type { Event } from '../api.ts';
import { duration as showDuration } from '../numbers.ts';
import { words } from '../source.ts';
import { live, zoneName } from '../state.ts';
import { clock, date, dateAndClock, offsetName, parseTime, zones } from '../time.ts';
import { Dialog } from '../ui/ui.tsx';
import { readDuration } from '../control/settings.ts';
import { addEvent, changeEvent, deleteEvent, events, importEvents, isOurs, isRefusal, keepEvent, only, whyKept, type Outcome } from './store.ts';
import type { Draft } from './kept.ts';

export interface Editing {
  /** Null for a new one. */
  event: Event | null;
  at: number;
  /** It is of the instant at which it is saved. */
  now: boolean;
}

export function Edit({ what, onClose }: { what: Editing; onClose(): void }): ComponentChildren {
  const zone = zoneName.value;
  const [name, setName] = useState(what.event?.name ?? '');
  const [detail, setDetail] = useState(what.event?.detail ?? '');
  const [day, setDay] = useState(date(what.at, zone));
  const [time, setTime] = useState(clock(what.at, zone, 3));
  const [now, setNow] = useState(what.now);
  const [lasted, setLasted] = useState(what.event?.duration ? `${what.event.duration / 1000}s` : '');
  const [error, setError] = useState<{ text: string; refused: boolean } | null>(null);
  const [busy, setBusy] = useState(false);
  const at = now ? Date.now() : parseTime(`${day} ${time}`, zone, what.at);
  const seconds = lasted.trim() === '' ? null : readDuration(lasted);
  const wrong = name.trim() === '' ? 'A name is needed.' : at === null ? 'The time is written as 12:03:22.4.' : lasted.trim() !== '' && seconds === null ? 'A length such as 500ms, 3s or 2m.' : null;

  const draft = (): Draft => ({ at: now ? Date.now() : at!, name: name.trim(), detail: detail.trim() || null, duration: seconds === null ? null : seconds * 1000 });
  const save = async (): Promise<void> => {
    if (wrong !== null || busy) return;
    setBusy(true);
    try {
      await (what.event ? changeEvent(what.event, draft()) : addEvent(draft()));
      onClose();
    } catch (problem) {
      setError({ text: words(problem), refused: isRefusal(problem) && what.event === null });
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog title={what.event ? 'Edit the event' : 'Mark a moment'} onClose={onClose}>
      <form class="form" onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}>
        <label>Name <input type="text" autoFocus maxLength={4096} value={name} onInput={(event) => setName(event.currentTarget.value)} /></label>
        <fieldset class="when">
          <legend>When <span class="hint">{zone}{at === null ? '' : `, ${offsetName(at, zone)}`}</span></legend>
          <input type="date" aria-label="Date" value={day} disabled={now} onInput={(event) => setDay(event.currentTarget.value)} />
          <input type="text" class="time" aria-label="Time" value={time} disabled={now} onInput={(event) => setTime(event.currentTarget.value)} />
          {live.value ? <label class="check"><input type="checkbox" checked={now} onChange={(event) => setNow(event.currentTarget.checked)} /> now</label> : null}
        </fieldset>
        <label>Lasted <input type="text" placeholder="nothing: it is a moment" value={lasted} onInput={(event) => setLasted(event.currentTarget.value)} /></label>
        <label>More in words <textarea rows={2} value={detail} onInput={(event) => setDetail(event.currentTarget.value)} /></label>
        {whyKept.value ? <p class="hint">{whyKept.value}</p> : null}
        {error ? <p class="problem" role="alert">{error.text}{error.refused ? <> <button type="button" class="link" onClick={() => {
          keepEvent(draft());
          onClose();
        }}>Keep it in this browser instead</button></> : null}</p> : null}
        <div class="form-end">
          {wrong !== null && (name !== '' || time !== '') ? <span class="hint">{wrong}</span> : null}
          <button type="button" onClick={onClose}>Cancel</button>
          <button type="submit" class="primary" disabled={wrong !== null || busy}>{what.event ? 'Save' : 'Mark'}</button>
        </div>
      </form>
    </Dialog>
  );
}

export function Import({ onClose }: { onClose(): void }): ComponentChildren {
  const [file, setFile] = useState<File | null>(null);
  const [zone, setZone] = useState(zoneName.value);
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [busy, setBusy] = useState(false);
  const read = async (): Promise<void> => {
    if (!file) return;
    setBusy(true);
    setOutcome(await file.text().then((text) => importEvents(text, zone), (problem: unknown) => ({ added: 0, refused: [], error: words(problem) })));
    setBusy(false);
  };
  return (
    <Dialog title="Import events" onClose={onClose}>
      <form class="form" onSubmit={(event) => {
        event.preventDefault();
        void read();
      }}>
        <p class="hint">CSV with the columns <code>event</code> and <code>timestamp</code>, with or without a header. Further columns become attributes.</p>
        <label>File <input type="file" accept=".csv,text/csv,text/plain" onChange={(event) => {
          setFile(event.currentTarget.files?.[0] ?? null);
          setOutcome(null);
        }} /></label>
        <label>Zone of times that name none <select value={zone} onChange={(event) => setZone(event.currentTarget.value)}>{[...new Set([zone, ...zones()])].map((each) => <option key={each} value={each}>{each}</option>)}</select></label>
        {whyKept.value ? <p class="hint">{whyKept.value}</p> : null}
        {outcome?.error ? <p class="problem" role="alert">{outcome.error}</p> : null}
        {outcome && outcome.error === null ? (
          <div role="status">
            <p><b>{outcome.added}</b> {outcome.added === 1 ? 'event was' : 'events were'} added{outcome.refused.length > 0 ? <>, <span class="bad">{outcome.refused.length} refused</span>:</> : '.'}</p>
            {outcome.refused.length > 0 ? <ul class="refused">{outcome.refused.slice(0, 100).map((each) => <li key={each.line}><span class="hint">line {each.line}</span> {each.why}</li>)}</ul> : null}
          </div>
        ) : null}
        <div class="form-end">
          <button type="button" onClick={onClose}>Close</button>
          <button type="submit" class="primary" disabled={!file || busy || outcome?.error === null}>Import</button>
        </div>
      </form>
    </Dialog>
  );
}

export function All({ onClose, onGo, onEdit }: { onClose(): void; onGo(event: Event): void; onEdit(event: Event): void }): ComponentChildren {
  const [text, setText] = useState(only.peek());
  const [error, setError] = useState<string | null>(null);
  const zone = zoneName.value;
  const found = events.value.filter((event) => `${event.name} ${event.detail ?? ''}`.toLowerCase().includes(text.trim().toLowerCase()));
  return (
    <Dialog title={`Events (${events.value.length})`} wide onClose={onClose}>
      <input type="search" aria-label="Find events" placeholder="Find…" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      {error ? <p class="problem" role="alert">{error}</p> : null}
      <div class="events-list">
        <table>
          <thead><tr><th>when</th><th>event</th><th>by</th><th class="number">lasted</th><th /></tr></thead>
          <tbody>
            {found.slice(0, 1000).map((event) => (
              <tr key={event.key} data-event={event.key}>
                <td class="when"><button type="button" class="link" onClick={() => {
                  onGo(event);
                  onClose();
                }}>{dateAndClock(event.at, zone, 3)}</button></td>
                <td><b>{event.name}</b> <span class="hint">{event.detail}</span></td>
                <td>{event.key.startsWith('kept:') ? 'this browser' : event.by}</td>
                <td class="number">{event.duration ? showDuration(event.duration / 1000) : ''}</td>
                <td>{isOurs(event) ? <><button type="button" class="link" onClick={() => {
                  onEdit(event);
                  onClose();
                }}>edit</button> <button type="button" class="link" onClick={() => deleteEvent(event).catch((problem: unknown) => setError(words(problem)))}>delete</button></> : null}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {found.length === 0 ? <p class="hint">There are none.</p> : null}
        {found.length > 1000 ? <p class="hint">… and {found.length - 1000} more: type more of the name.</p> : null}
      </div>
    </Dialog>
  );
}
