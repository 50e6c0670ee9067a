// Several runs: which are shown, how they lie on each other, and by how much they differ.
import './runs.css';
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import type { Difference as DifferenceRow, RunHead, Span } from '../api.ts';
import { words as text } from '../address.ts';
import { useFetched } from '../charts/fetch.ts';
import { ABSENT, amount, duration, inScale, number, scaleFor } from '../numbers.ts';
import { arrangement, headOf, inAddress, letter, makeFirst, offsets, openRuns, range, runIds, runs, session, shownRuns, source, zoneName } from '../state.ts';
import { dateAndClock } from '../time.ts';
import { Dialog, Icon } from '../ui/ui.tsx';
import { commonSpans, offsets as aligned, relative, titles, type Align } from './align.ts';

/** `start`, `clock`, or `span:NAME`. */
const alignment = inAddress<string>('align', 'start', text);
const showsDifference = signal(true);
/** Whether runs are being chosen. */
export const choosingRuns = signal(false);

/** Spans that are looked through for a name that runs share: the longest. */
const SPANS = 500;

function readAlign(written: string): Align {
  if (written.startsWith('span:')) return { by: 'span', name: written.slice(5) };
  return { by: written === 'clock' ? 'clock' : 'start' };
}

/** Names of spans that all runs have. */
const commonNames = signal<string[]>([]);

export function Runs(): ComponentChildren {
  const ids = runIds.value;
  useAlignment();
  const choose = choosingRuns.value ? <Choose onClose={() => (choosingRuns.value = false)} /> : null;
  if (source.value.embedded || ids.length < 2) return choose;
  return (
    <section class="runs" aria-label="Runs">
      <div class="runs-bar">
        {ids.map((id, place) => <Chip key={id} id={id} place={place} />)}
        <button type="button" class="quiet" onClick={() => (choosingRuns.value = true)}><Icon name="plus" size={12} /> another…</button>
        <Aligning />
        <div class="segments" role="group" aria-label="How runs are drawn">
          <button type="button" aria-pressed={arrangement.value === 'overlay'} onClick={() => (arrangement.value = 'overlay')}>overlay</button>
          <button type="button" aria-pressed={arrangement.value === 'side'} onClick={() => (arrangement.value = 'side')}>side by side</button>
        </div>
        <button type="button" aria-pressed={showsDifference.value} onClick={() => (showsDifference.value = !showsDifference.value)}>Differences</button>
      </div>
      {showsDifference.value ? <Difference /> : null}
      {choose}
    </section>
  );
}

function Chip({ id, place }: { id: string; place: number }): ComponentChildren {
  const head = headOf(id);
  const names = titles(runIds.value.map((each) => headOf(each)?.name ?? each));
  return (
    <span class="run-chip" title={head?.path}>
      <b class="run-letter">{letter(place)}</b>
      {place === 0 ? <span title="The head of the page and the table of processes are of this run">{names[place]}</span> : <button type="button" class="link" title="Make it the first: the head of the page and the table of processes are of the first" onClick={() => makeFirst(id)}>{names[place]}</button>}
      {head && head.state !== 'ended' ? <span class="tag">{head.state}</span> : null}
      <button type="button" class="quiet icon" aria-label={`Take ${names[place]} away`} onClick={() => without(id)}><Icon name="close" size={12} /></button>
    </span>
  );
}

function without(id: string): void {
  const left = runIds.peek().filter((each) => each !== id);
  if (left.length <= 1) openRuns(left);
  else {
    runIds.value = left;
    range.value = null;
  }
}

/** Makes a run the first. What is looked at may lie elsewhere then: times are those of the first. */
/** Moves runs so that they lie on each other as was chosen. */
function useAlignment(): void {
  const spans = useFetched(() => {
    const shown = shownRuns.value;
    if (shown.length < 2) return null;
    const asked = shown.map(({ id, run }) => [id, run.from, run.to] as const);
    return async (abort) => new Map(await Promise.all(asked.map(async ([id, from, to]): Promise<[string, Span[]]> => [id, (await source.peek().spans(id, from, to, SPANS, abort)).spans])));
  }, [], 100);
  const shown = shownRuns.value;
  const known = spans.value.value;
  const placeable = shown.map(({ id, run }) => ({ id, from: run.from, to: run.to, spans: known?.get(id) }));
  const align = readAlign(alignment.value);
  const moved = shown.length > 1 ? aligned(placeable, align) : [];
  // What has no such span lies as it began.
  const fallback = aligned(placeable, { by: 'start' });
  const wanted = moved.map((each, at) => each ?? fallback[at] ?? 0);
  const written = JSON.stringify(wanted);
  useEffect(() => {
    const next = new Map(shown.map(({ id }, at): [string, number] => [id, wanted[at] ?? 0]));
    const before = offsets.peek();
    if (next.size !== before.size || [...next].some(([id, by]) => before.get(id) !== by)) offsets.value = next;
  }, [written, shown.map(({ id }) => id).join()]);
  const common = commonSpans(placeable);
  useEffect(() => void (commonNames.value = common), [common.join('\n')]);
}

function Aligning(): ComponentChildren {
  const names = commonNames.value;
  const current = alignment.value;
  return (
    <label class="aligning">
      aligned by{' '}
      <select value={current} onChange={(event) => {
        alignment.value = event.currentTarget.value;
        range.value = null;
      }}>
        <option value="start">their start</option>
        <option value="clock">the clock</option>
        {[...new Set([...(current.startsWith('span:') ? [current.slice(5)] : []), ...names])].map((name) => <option key={name} value={`span:${name}`}>the begin of span “{name}”</option>)}
      </select>
    </label>
  );
}

function Difference(): ComponentChildren {
  const fetched = useFetched(() => {
    const ids = runIds.value;
    return ids.length < 2 || ids.some((id) => !runs.value.has(id)) ? null : (abort) => source.peek().difference(ids, abort);
  });
  const rows = fetched.value.value;
  const names = titles(runIds.value.map((id) => headOf(id)?.name ?? id));
  if (fetched.error.value) return <p class="problem" role="alert">{fetched.error.value}</p>;
  if (!rows) return <p class="hint">…</p>;
  return (
    <div class="difference" tabIndex={0} role="region" aria-label="Differences of the runs">
      <table>
        <thead><tr><th />{rows.map((row) => <th class="number" scope="col" key={row.name}>{row.name}</th>)}</tr></thead>
        <tbody>
          {names.map((name, at) => (
            <tr key={runIds.value[at]}>
              <th scope="row"><b class="run-letter">{letter(at)}</b> {name}</th>
              {rows.map((row) => <Cell key={row.name} row={row} at={at} />)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A figure of a run, and how far it is from that of the first. */
function Cell({ row, at }: { row: DifferenceRow; at: number }): ComponentChildren {
  const scale = scaleFor(row.unit, Math.max(0, ...row.values.map((value) => Math.abs(value ?? 0))));
  const value = row.values[at] ?? null;
  const by = at === 0 ? null : relative(row.values[0] ?? null, value);
  return (
    <td class="number">
      {value === null ? ABSENT : row.unit === 'seconds' || row.unit === 'count' ? amount(value, row.unit) : `${inScale(value, scale)} ${scale.unit}`.trim()}
      {by === null ? null : <> <span class="by">{Math.abs(by) < 0.0005 ? '=' : by >= 10 ? `×${number(by + 1)}` : `${by > 0 ? '+' : '−'}${number(Math.abs(by) * 100)} %`}</span></>}
    </td>
  );
}

function Choose({ onClose }: { onClose(): void }): ComponentChildren {
  const zone = zoneName.value;
  const all = session.value?.runs ?? [];
  const shown = new Set(runIds.value);
  const toggle = (head: RunHead): void => {
    if (shown.has(head.id)) without(head.id);
    else {
      runIds.value = [...runIds.peek(), head.id];
      range.value = null;
    }
  };
  return (
    <Dialog title="Runs" wide onClose={onClose}>
      <p class="hint">A click shows one alone; a tick lays it over those that are shown.</p>
      <div class="events-list">
        <table>
          <thead><tr><th /><th>run</th><th>began</th><th class="number">took</th><th>command</th><th>host</th></tr></thead>
          <tbody>
            {all.map((head) => (
              <tr key={head.id} data-run={head.id}>
                <td><input type="checkbox" aria-label={`Show ${head.name}`} checked={shown.has(head.id)} onChange={() => toggle(head)} /></td>
                <td><button type="button" class="link" title={head.path} onClick={() => {
                  openRuns([head.id]);
                  onClose();
                }}>{head.name}</button>{head.state !== 'ended' ? <span class="tag">{head.id === session.value?.machine ? 'now' : head.state}</span> : null}</td>
                <td class="when">{dateAndClock(head.from, zone)}</td>
                <td class="number">{duration((head.to - head.from) / 1000)}</td>
                <td class="run-command" title={head.command?.join(' ')}>{head.command?.join(' ')}</td>
                <td>{head.host}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {(session.value?.refused.length ?? 0) > 0 ? (
        <ul class="refused">{session.value!.refused.map((each) => <li key={each.path}><code>{each.path}</code> {each.why}</li>)}</ul>
      ) : null}
    </Dialog>
  );
}
