// The moment that was clicked: which processes there were, how they hang together, and what changed since another moment.
import './moment.css';
import { computed, signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import type { ProcessRow } from '../api.ts';
import { flag, oneOf } from '../address.ts';
import { useFetched } from '../charts/fetch.ts';
import { bind } from '../keys.ts';
import { amount } from '../numbers.ts';
import { comparedWith, following, grown, inAddress, live, moment, process, restedView, run, runId, source, whole, zoneName } from '../state.ts';
import { Icon } from '../ui/ui.tsx';
import { clock, dateAndClock, date, parseTime } from '../time.ts';
import { Differences } from './differences.tsx';
import { Graph } from './graph.tsx';
import { Inspect } from './inspect.tsx';
import { LifeOf } from './life.tsx';
import { Processes } from './processes.tsx';
import { identity, matches, title, total } from './rows.ts';

type View = 'tree' | 'table' | 'graph';

const look = inAddress<View>('look', 'tree', oneOf<View>('tree', 'table', 'graph'), true);
const summed = inAddress<boolean>('sums', false, flag, true);
const measure = inAddress<'threads' | 'memory'>('size', 'threads', oneOf<'threads' | 'memory'>('threads', 'memory'), true);
const find = signal('');
/** Whether it is looked for in the whole run. */
const everywhere = signal(false);

/** When the table is of: the moment that was clicked, else the latest that is looked at. */
const at = computed(() => moment.value ?? Math.min(restedView.value.to, whole.value.to));

const NOBODY: ProcessRow[] = [];

export function Moment(): ComponentChildren {
  // Of another run, nothing of this one is kept.
  return <MomentOf key={runId.value} />;
}

function MomentOf(): ComponentChildren {
  const known = run.value;
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => bind(
    { keys: ['/'], says: 'find a process by pid, name or command', group: 'Processes', act: () => {
      field.current?.scrollIntoView({ block: 'center' });
      field.current?.focus();
      field.current?.select();
    } },
    { keys: ['t'], says: 'tree, table, graph', group: 'Processes', act: () => (look.value = look.value === 'tree' ? 'table' : look.value === 'table' ? 'graph' : 'tree') },
  ), []);

  const now = useFetched(() => {
    const id = runId.value;
    // What is followed is asked for as it grows; a moment that was clicked stands.
    if (moment.value === null && following.value) void grown.value;
    const time = moment.value === null && following.value ? at.peek() : at.value;
    return id !== null && run.value?.hasProcesses ? (abort) => source.peek().processes(id, time, abort) : null;
  });
  const before = useFetched(() => {
    const [id, time] = [runId.value, comparedWith.value];
    return id !== null && time !== null && run.value?.hasProcesses ? (abort) => source.peek().processes(id, time, abort) : null;
  });
  const found = useFetched(() => {
    const [id, text] = [runId.value, find.value.trim()];
    return id !== null && everywhere.value && text !== '' && run.value?.hasProcesses ? (abort) => source.peek().findProcesses(id, text, abort) : null;
  }, [], 150);
  if (!known) return null;

  const id = runId.value;
  const has = known.hasProcesses;
  const text = find.value.trim();
  const answer = now.value.value;
  const shownAt = answer?.at ?? at.value;
  const rows = answer?.processes ?? NOBODY;
  const selected = process.value ? identity(process.value) : null;
  const select = (row: ProcessRow): void => {
    process.value = selected === identity(row) ? null : { pid: row.pid, startTicks: row.startTicks };
  };
  const comparing = comparedWith.value !== null;
  // A file of other things has none, and nothing would have recorded them: there is no moment to show.
  if (!has && Object.keys(known.sources).length === 0) {
    return (
      <section class="instant" aria-label="The moment">
        <header class="section-head"><h2>Processes</h2></header>
        <p class="empty">This file says nothing of processes: what it has is in the charts above. A recording that <code>barograph run -- COMMAND</code> makes has them, at each moment.</p>
        {source.value.embedded ? null : <Inspect />}
      </section>
    );
  }
  return (
    <section class="instant" aria-label="The moment">
      <header class="section-head">
        <Title at={shownAt} waiting={now.pending.value} />
        <div class="segments" role="radiogroup" aria-label="How processes are shown">
          {(['tree', 'table', 'graph'] as const).map((each) => (
            <button type="button" role="radio" key={each} aria-checked={look.value === each} onClick={() => (look.value = each)}>{each}</button>
          ))}
        </div>
        {look.value === 'tree' && !comparing ? <label class="check"><input type="checkbox" checked={summed.value} onChange={(event) => (summed.value = event.currentTarget.checked)} /> sums of subtrees</label> : null}
        {look.value === 'graph' && !comparing ? (
          <label>sized by <select value={measure.value} onChange={(event) => (measure.value = event.currentTarget.value === 'memory' ? 'memory' : 'threads')}><option value="threads">threads</option><option value="memory">memory</option></select></label>
        ) : null}
        <span class="find">
          <input
            ref={field}
            type="search"
            placeholder="Find pid, name or command  /"
            aria-label="Find a process by pid, name or command"
            value={find.value}
            onInput={(event) => (find.value = event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key !== 'Escape') return;
              find.value = '';
              event.currentTarget.blur();
            }}
          />
          <label class="check"><input type="checkbox" checked={everywhere.value} onChange={(event) => (everywhere.value = event.currentTarget.checked)} /> whole run</label>
        </span>
        <Compare at={at.value} />
      </header>
      {now.error.value ? <p class="problem" role="alert">{now.error.value}</p> : null}
      {!has ? <p class="empty">This recording has no rows of processes. <code>--processes all</code> or <code>top:20</code> records them.</p> : null}
      {has && everywhere.value && text !== '' ? <Found rows={found.value.value?.processes ?? NOBODY} waiting={found.pending.value} error={found.error.value} text={text} selected={selected} onSelect={select} /> : null}
      {has ? (
        <div class={`moment-body${answer === null ? ' skeleton' : ''}`} data-at={answer?.at} aria-busy={now.pending.value}>
          {comparing && before.value.value ? (
            <Differences says={[comparedWith.value!, shownAt].sort((a, b) => a - b).map((each) => clock(each, zoneName.value, 1)).join(' → ')} {...(comparedWith.value! <= at.value ? { before: before.value.value.processes, after: rows } : { before: rows, after: before.value.value.processes })} find={everywhere.value ? '' : text} selected={selected} onSelect={select} />
          ) : look.value === 'graph' ? (
            rows.length > 0 ? <Graph rows={rows} measure={measure.value} find={text} selected={selected} onSelect={select} /> : <p class="empty">No process was seen at this moment.</p>
          ) : (
            <Processes label={`Processes at ${clock(shownAt, zoneName.value, 1)}`} rows={rows} asTree={look.value === 'tree'} summed={summed.value} find={everywhere.value ? '' : text} selected={selected} empty={text && rows.length > 0 ? `No process of this moment has “${text}”. Tick “whole run” to look at all others.` : answer ? 'No process was seen at this moment.' : ''} onSelect={select} />
          )}
          <Totals rows={text && !everywhere.value ? rows.filter((row) => matches(row, text)) : rows} />
        </div>
      ) : null}
      {process.value && id !== null ? <LifeOf key={selected} run={id} pid={process.value.pid} startTicks={process.value.startTicks} row={rows.find((row) => identity(row) === selected) ?? null} /> : null}
      {source.value.embedded ? null : <Inspect />}
    </section>
  );
}

function Title({ at, waiting }: { at: number; waiting: boolean }): ComponentChildren {
  const zone = zoneName.value;
  const sameDay = date(at, zone) === date(whole.value.from, zone) && date(at, zone) === date(whole.value.to, zone);
  const said = sameDay ? clock(at, zone, 1) : dateAndClock(at, zone, 1);
  const latest = moment.value === null;
  return (
    <h2 aria-live="polite" aria-busy={waiting}>
      {latest ? (live.value ? 'The latest moment ' : 'The last moment ') : 'The moment '}
      <time dateTime={new Date(at).toISOString()} title={dateAndClock(at, zone, 3)}>{said}</time>
      {latest ? <span class="hint"> click a chart to look at another</span> : <button type="button" class="quiet icon" title="Back to the latest moment" aria-label="Forget the moment" onClick={() => (moment.value = null)}><Icon name="close" size={12} /></button>}
    </h2>
  );
}

function Compare({ at }: { at: number }): ComponentChildren {
  const zone = zoneName.value;
  const other = comparedWith.value;
  return (
    <span class="compare">
      {other === null ? (
        <button type="button" title="Keeps this moment to compare with; then click another one" onClick={() => (comparedWith.value = at)}><Icon name="compare" /> Compare</button>
      ) : (
        <>
          <label>
            compared with{' '}
            <input
              type="text"
              class="time"
              value={clock(other, zone, 1)}
              title={dateAndClock(other, zone, 3)}
              aria-label="The moment to compare with"
              onChange={(event) => {
                const typed = parseTime(event.currentTarget.value, zone, other);
                if (typed !== null) comparedWith.value = typed;
                event.currentTarget.value = clock(comparedWith.value ?? other, zone, 1);
              }}
            />
          </label>
          <button type="button" class="quiet icon" title="Swaps the two moments" aria-label="Swap the two moments" onClick={() => {
            moment.value = other;
            comparedWith.value = at;
          }}>⇄</button>
          <button type="button" class="quiet icon" title="Ends the comparison" aria-label="End the comparison" onClick={() => (comparedWith.value = null)}><Icon name="close" size={12} /></button>
        </>
      )}
    </span>
  );
}

/** What the table comes to. */
function Totals({ rows }: { rows: readonly ProcessRow[] }): ComponentChildren {
  if (rows.length === 0) return null;
  const all = total(rows);
  return (
    <p class="totals">
      <b>{rows.length}</b> {rows.length === 1 ? 'process' : 'processes'} · <b>{amount(all.threads, 'count')}</b> {all.threads === 1 ? 'thread' : 'threads'} · <b>{amount(all.cores, 'cores')}</b> · <b>{amount(all.resident, 'bytes')}</b>
      {all.read !== null || all.written !== null ? <> · read <b>{amount(all.read, 'bytes_per_second')}</b>, written <b>{amount(all.written, 'bytes_per_second')}</b></> : null}
    </p>
  );
}

/** Processes of the whole run that have what is looked for. */
function Found({ rows, waiting, error, text, selected, onSelect }: { rows: readonly ProcessRow[]; waiting: boolean; error: string | null; text: string; selected: string | null; onSelect(row: ProcessRow): void }): ComponentChildren {
  if (error) return <p class="problem" role="alert">{error}</p>;
  return (
    <div class="found" aria-busy={waiting}>
      <p>{waiting && rows.length === 0 ? 'Looking…' : rows.length === 0 ? `Nothing in the whole run has “${text}”.` : `${rows.length} in the whole run. A click shows its life.`}</p>
      <ul>
        {rows.slice(0, 200).map((row) => (
          <li key={identity(row)}>
            <button type="button" aria-pressed={identity(row) === selected} onClick={() => onSelect(row)}>
              <span class="pid">{row.pid}</span> <b>{title(row)}</b> <span class="command">{row.command}</span>
            </button>
          </li>
        ))}
      </ul>
      {rows.length > 200 ? <p>… and {rows.length - 200} more: type more of it.</p> : null}
    </div>
  );
}
