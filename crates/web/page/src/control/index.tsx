// What is recorded, always in sight, and what can be ordered: start, stop, snapshot, reset, other settings.
import './control.css';
import { computed, signal } from '@preact/signals';
import { useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import type { Control, Recording, RunHead, Settings } from '../api.ts';
import { words } from '../source.ts';
import { openRuns, refreshRun, run, runId, runs, session, source, takeSession } from '../state.ts';
import { Dialog, Icon, Menu } from '../ui/ui.tsx';
import { changes, commandLine, DEFAULTS, read, showDuration, typed, type Typed } from './settings.ts';

const dialog = signal<'start' | 'set' | 'reset' | null>(null);
const busy = signal<Control['do'] | null>(null);
const problem = signal<string | null>(null);
/** What was just done, in words; gone after the next order. */
const done = signal<string | null>(null);

const DONE: Record<Control['do'], string> = { start: 'Recording.', stop: 'Stopped; everything is written.', snapshot: 'Everything was read now.', reset: 'A new recording has begun.', set: 'Changed.' };

/** Gives an order, and shows what came of it. Says whether it was done. */
async function order(control: Control): Promise<boolean> {
  busy.value = control.do;
  problem.value = null;
  done.value = null;
  try {
    const before = session.peek()?.recording?.run ?? null;
    const told = await source.peek().control(control);
    takeSession(told);
    const now = told.recording?.run ?? null;
    if ((control.do === 'start' || control.do === 'reset') && now !== null && now !== before) openRuns([now]);
    const shown = runId.peek();
    if (shown !== null) await refreshRun(shown);
    done.value = DONE[control.do];
    return true;
  } catch (error) {
    problem.value = words(error);
    return false;
  } finally {
    busy.value = null;
  }
}

/** Whether what is shown is the machine as it is, which nobody records. */
const isMachine = computed(() => session.value?.machine != null && runId.value === session.value.machine);
/** The server's own recording, if it is the one that is shown. */
const own = computed<Recording | null>(() => (session.value?.recording && session.value.recording.run === runId.value ? session.value.recording : null));
/** Runs in progress that are not shown. */
const others = computed<RunHead[]>(() => (session.value?.runs ?? []).filter((head) => head.state === 'live' && head.id !== runId.value && head.id !== session.value?.machine));
const mayOrder = computed(() => !source.value.embedded && session.value !== null && !session.value.readOnly);

export function ControlBar(): ComponentChildren {
  const state = run.value?.state ?? null;
  if (source.value.embedded) return null;
  // Someone else's recorder is told by its run.
  const target = own.value ? {} : { run: runId.value ?? undefined };
  const runsNow = state === 'live' && !isMachine.value;
  return (
    <div class="orders" role="group" aria-label="Recording">
      {mayOrder.value && runsNow ? (
        <>
          <button type="button" disabled={busy.value !== null} title="Reads everything now, whatever the interval" onClick={() => void order({ do: 'snapshot', ...target })}><Icon name="camera" /> Snapshot</button>
          <button type="button" disabled={busy.value !== null} title="Ends the recording; nothing is lost" onClick={() => void order({ do: 'stop', ...target })}><Icon name="stop" /> {busy.value === 'stop' ? 'Stopping…' : 'Stop'}</button>
        </>
      ) : null}
      {mayOrder.value && !runsNow && session.value?.recording == null && session.value?.cannotRecord === null ? (
        <button type="button" class={isMachine.value ? 'primary' : ''} disabled={busy.value !== null} onClick={() => (dialog.value = 'start')}>{busy.value === 'start' ? 'Starting…' : 'Start recording…'}</button>
      ) : null}
      {!runsNow && session.value?.recording ? <Elsewhere recording={session.value.recording} /> : null}
      {mayOrder.value || others.value.length > 0 ? (
        <Menu label="Recorder ▾" title="The recorder: settings, reset, other runs in progress">
          {(close) => (
            <div class="recorder">
              {mayOrder.value && runsNow ? (
                <button type="button" class="quiet item" onClick={() => {
                  close();
                  dialog.value = 'set';
                }}>Change settings…</button>
              ) : null}
              {mayOrder.value && own.value ? (
                <button type="button" class="quiet item" onClick={() => {
                  close();
                  dialog.value = 'reset';
                }}>Reset: end it, begin another…</button>
              ) : null}
              {own.value ? <p class="hint">every {showDuration(own.value.intervalSeconds)}, written every {showDuration(own.value.writeIntervalSeconds)}, processes: {own.value.processes}</p> : null}
              <h3>Other runs in progress</h3>
              {others.value.length === 0 ? <p class="hint">None that this page knows of.</p> : (
                <ul>
                  {others.value.map((head) => (
                    <li key={head.id}>
                      <button type="button" class="link" title={head.path} onClick={() => {
                        close();
                        openRuns([head.id]);
                      }}>{head.name}</button>
                      {mayOrder.value ? <button type="button" class="quiet icon" title={`Stop ${head.name}`} aria-label={`Stop ${head.name}`} onClick={() => void order({ do: 'stop', run: head.id })}><Icon name="stop" size={12} /></button> : null}
                    </li>
                  ))}
                </ul>
              )}
            </div>
          )}
        </Menu>
      ) : null}
      {problem.value ? <p class="orders-said problem" role="alert">{problem.value} <button type="button" class="quiet icon" aria-label="Close" onClick={() => (problem.value = null)}><Icon name="close" size={12} /></button></p> : null}
      <span class="hidden-label" role="status">{done.value}</span>
      {dialog.value === 'start' ? <Start onClose={() => (dialog.value = null)} /> : null}
      {dialog.value === 'set' ? <Change target={target} onClose={() => (dialog.value = null)} /> : null}
      {dialog.value === 'reset' ? <Reset onClose={() => (dialog.value = null)} /> : null}
    </div>
  );
}

/** The server records, but something else is shown. */
function Elsewhere({ recording }: { recording: Recording }): ComponentChildren {
  const head = session.value?.runs.find((each) => each.id === recording.run);
  return <button type="button" class="elsewhere" onClick={() => openRuns([recording.run])}><i class="dot live" aria-hidden="true" /> recording {head?.name ?? ''}</button>;
}

/** The large invitation on the page of a machine that nobody records. */
export function StartHere(): ComponentChildren {
  if (!isMachine.value || session.value?.recording != null || source.value.embedded) return null;
  const why = session.value?.readOnly ? 'This page was opened with --read-only.' : session.value?.cannotRecord;
  return (
    <section class="start-here" aria-label="Start recording">
      {why == null ? <button type="button" class="primary large" onClick={() => (dialog.value = 'start')}>Start recording</button> : null}
      <p>
        {why == null ? 'This is the machine as it is now; nothing of it is kept. ' : `${why} `}
        {why == null ? 'Or record a command: ' : 'To record, type '}
        <code>barograph run -- COMMAND</code>
      </p>
    </section>
  );
}

/** Sources whose names are known here, with what they gave. */
const knownSources = computed<[string, string][]>(() => {
  const machine = session.value?.machine;
  const told = (machine ? runs.value.get(machine) : undefined)?.sources ?? run.value?.sources ?? {};
  return Object.entries(told).filter(([name]) => name !== 'beacon').sort(([a], [b]) => a.localeCompare(b));
});

function Start({ onClose }: { onClose(): void }): ComponentChildren {
  const [form, setForm] = useState<Typed>(DEFAULTS);
  const { settings, wrong } = read(form);
  return (
    <Dialog title="Start recording" onClose={onClose}>
      <form class="form" onSubmit={(event) => {
        event.preventDefault();
        if (settings) void order({ do: 'start', settings }).then((isDone) => isDone && onClose());
      }}>
        <Fields form={form} wrong={wrong ?? {}} onChange={setForm} withPath />
        {settings ? <p class="hint">The same by hand: <code>{commandLine(settings)}</code></p> : null}
        {problem.value ? <p class="problem" role="alert">{problem.value}</p> : null}
        <div class="form-end">
          <button type="button" onClick={onClose}>Cancel</button>
          <button type="submit" class="primary" disabled={settings === null || busy.value !== null}>{busy.value === 'start' ? 'Starting…' : 'Start'}</button>
        </div>
      </form>
    </Dialog>
  );
}

function Change({ target, onClose }: { target: { run?: string }; onClose(): void }): ComponentChildren {
  const known = run.value;
  const [before] = useState<Settings>(() => own.peek() ?? { path: known?.path ?? null, intervalSeconds: known?.intervalSeconds ?? 1, writeIntervalSeconds: known?.writeIntervalSeconds ?? 10, processes: 'all', pids: [], without: [] });
  const [form, setForm] = useState<Typed>(() => typed(before));
  const { settings, wrong } = read(form);
  const changed = settings ? changes(before, settings) : {};
  const nothing = Object.keys(changed).length === 0;
  return (
    <Dialog title="Change the recorder" onClose={onClose}>
      <form class="form" onSubmit={(event) => {
        event.preventDefault();
        if (settings && !nothing) void order({ do: 'set', settings: changed, ...target }).then((isDone) => isDone && onClose());
      }}>
        <p class="hint">It goes on recording; changes apply from its next reading.</p>
        <Fields form={form} wrong={wrong ?? {}} onChange={setForm} />
        {problem.value ? <p class="problem" role="alert">{problem.value}</p> : null}
        <div class="form-end">
          <button type="button" onClick={onClose}>Cancel</button>
          <button type="submit" class="primary" disabled={settings === null || nothing || busy.value !== null}>Change</button>
        </div>
      </form>
    </Dialog>
  );
}

function Reset({ onClose }: { onClose(): void }): ComponentChildren {
  return (
    <Dialog title="Begin another recording?" onClose={onClose}>
      <div class="form">
        <p>This recording ends here and stays as it is. Another one begins with the same settings.</p>
        {problem.value ? <p class="problem" role="alert">{problem.value}</p> : null}
        <div class="form-end">
          <button type="button" onClick={onClose}>Cancel</button>
          <button type="button" class="primary" disabled={busy.value !== null} onClick={() => void order({ do: 'reset' }).then((isDone) => isDone && onClose())}>Reset</button>
        </div>
      </div>
    </Dialog>
  );
}

function Fields({ form, wrong, onChange, withPath = false }: { form: Typed; wrong: Partial<Record<keyof Typed, string>>; onChange(form: Typed): void; withPath?: boolean }): ComponentChildren {
  const text = (name: 'path' | 'interval' | 'writeInterval' | 'top' | 'pids', label: string, placeholder = ''): ComponentChildren => (
    <label>
      {label}
      <input type="text" name={name} value={form[name]} placeholder={placeholder} aria-invalid={wrong[name] !== undefined} onInput={(event) => onChange({ ...form, [name]: event.currentTarget.value })} />
      {wrong[name] ? <span class="wrong">{wrong[name]}</span> : null}
    </label>
  );
  return (
    <>
      {withPath ? text('path', 'Where', 'a name is made, in the folder of barograph view') : null}
      <div class="form two">
        {text('interval', 'Read every')}
        {text('writeInterval', 'Write to disk every')}
      </div>
      <div class="form two">
        <label>
          Processes with rows of their own
          <select name="processes" value={form.processes} onChange={(event) => onChange({ ...form, processes: event.currentTarget.value })}>
            <option value="all">all</option>
            <option value="top">the busiest</option>
            <option value="none">none</option>
            {['all', 'top', 'none'].includes(form.processes) ? null : <option value={form.processes}>{form.processes}</option>}
          </select>
        </label>
        {form.processes === 'top' ? text('top', 'How many') : null}
      </div>
      {withPath ? text('pids', 'Only these pids, with all below them', 'the whole machine') : null}
      {knownSources.value.length > 0 ? (
        <fieldset class="sources">
          <legend>What is recorded</legend>
          {knownSources.value.map(([name, said]) => (
            <label class="check" key={name} title={said === 'ok' ? undefined : said}>
              <input type="checkbox" checked={!form.without.includes(name)} onChange={(event) => onChange({ ...form, without: event.currentTarget.checked ? form.without.filter((each) => each !== name) : [...form.without, name] })} /> {name.replaceAll('_', ' ')}
            </label>
          ))}
        </fieldset>
      ) : null}
    </>
  );
}
