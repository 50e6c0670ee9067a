// Every state has a design: nothing there, not reachable, cut off, not all of it.
import { signal } from '@preact/signals';
import { connected, failure, live, refreshSession, refused, retry, run, runId, runIds, session } from '../state.ts';
import { Icon } from '../ui/ui.tsx';

const closed = signal<ReadonlySet<string>>(new Set());

interface Notice { key: string; kind: 'bad' | 'soft'; text: string; detail?: string; act?: { says: string; do: () => void } }

/** Lines above everything: what a person should know before believing the picture. */
export function Notices() {
  const notices: Notice[] = [];
  if (!connected.value && failure.value === null) {
    notices.push({ key: 'lost', kind: 'bad', text: 'Barograph does not answer.', detail: live.value ? 'The recording goes on by itself, if its recorder lives; what is shown here is as it was. It is tried again by itself.' : 'What is shown here is as it was. It is tried again by itself.', act: { says: 'Try now', do: () => void refreshSession() } });
  }
  for (const { path, why } of session.value?.refused ?? []) notices.push({ key: `refused ${path}`, kind: 'bad', text: `${path} could not be opened.`, detail: why });
  for (const id of runIds.value) {
    const why = refused.value.get(id);
    if (why && id !== runId.value) notices.push({ key: `run ${id}`, kind: 'bad', text: `The run ${id} can’t be shown.`, detail: why, act: { says: 'Try again', do: () => retry(id) } });
  }
  const now = run.value;
  if (now?.state === 'cut off') notices.push({ key: `cut ${now.id}`, kind: 'bad', text: 'This recording was cut off: its recorder ended without a word.', detail: 'All up to the last write is here. `barograph repair` writes the end that is missing.' });
  for (const { name, detail, count } of now?.notices ?? []) notices.push({ key: `${now!.id} ${name}`, kind: 'soft', text: `${name.replaceAll('_', ' ')}${count === null || count === 1 ? '' : `: ${count}`}`, detail });
  const shown = notices.filter(({ key }) => !closed.value.has(key));
  if (shown.length === 0) return null;
  return (
    <ul class="notices" role="status">
      {shown.map(({ key, kind, text, detail, act }) => (
        <li key={key} class={kind}>
          <span><b>{text}</b> {detail}</span>
          {act && <button type="button" class="small" onClick={act.do}>{act.says}</button>}
          {key !== 'lost' && <button type="button" class="quiet icon small" aria-label="Close this notice" onClick={() => (closed.value = new Set([...closed.value, key]))}><Icon name="close" size={12} /></button>}
        </li>
      ))}
    </ul>
  );
}

/** In place of the charts when there is no run to show. */
export function Nothing() {
  const id = runId.value;
  const why = failure.value ?? (id === null ? null : (refused.value.get(id) ?? null));
  const told = session.value;
  if (!told && !why) return <section class="nothing" aria-busy="true"><div class="skeleton" style={{ height: '72px' }} /><div class="skeleton" style={{ height: '152px' }} /><div class="skeleton" style={{ height: '152px' }} /></section>;
  return (
    <section class="nothing">
      {why ? (
        <>
          <h1>{failure.value ? 'Barograph does not answer' : 'This run can’t be shown'}</h1>
          <p>{why}</p>
          <p class="row">
            <button type="button" class="primary" onClick={() => (failure.value ? void refreshSession() : retry(id!))}>Try again</button>
            {!failure.value && told?.first && told.first !== id && <button type="button" onClick={() => (runIds.value = [told.first!])}>Show {told.runs.find((head) => head.id === told.first)?.name ?? 'another'}</button>}
          </p>
        </>
      ) : (
        <>
          <h1>No recording yet</h1>
          <p>Record what a command does to this machine, and look while it runs:</p>
          <pre><code>barograph run -- python train.py</code></pre>
          <p>or open what there is:</p>
          <pre><code>barograph view FOLDER</code></pre>
          {told?.cannotRecord && <p class="soft">Nothing can be recorded from this page: {told.cannotRecord}</p>}
        </>
      )}
    </section>
  );
}
