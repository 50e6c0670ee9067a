// Any process of this machine as it is right now, with all below it: threads, and sums by command.
import { useEffect, useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import { useFetched } from '../charts/fetch.ts';
import { amount } from '../numbers.ts';
import { session, source, zoneName } from '../state.ts';
import { clock } from '../time.ts';
import { Processes } from './processes.tsx';
import { identity } from './rows.ts';

const EVERY = 2000;

export function Inspect(): ComponentChildren {
  const [typed, setTyped] = useState('');
  const [pid, setPid] = useState<number | null>(null);
  const [again, setAgain] = useState(false);
  const [count, setCount] = useState(0);
  const [selected, setSelected] = useState<string | null>(null);
  const [summed, setSummed] = useState(false);
  const tree = useFetched(() => (pid === null ? null : (abort) => source.peek().tree(pid, abort)), [pid, count], 0);
  useEffect(() => {
    if (!again || pid === null) return undefined;
    const timer = setInterval(() => setCount((before) => before + 1), EVERY);
    return () => clearInterval(timer);
  }, [again, pid]);
  const number = Number(typed);
  const isPid = Number.isInteger(number) && number > 0;
  const value = pid === null ? null : tree.value.value;
  return (
    <details class="inspect">
      <summary>Inspect a process of {session.value?.host ?? 'this machine'} as it is now</summary>
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          if (!isPid) return;
          setPid(number);
          setCount((before) => before + 1);
        }}
      >
        <label>pid <input type="text" inputMode="numeric" size={8} value={typed} aria-label="pid to inspect" onInput={(event) => setTyped(event.currentTarget.value)} /></label>
        <button type="submit" disabled={!isPid}>Inspect</button>
        <label class="check"><input type="checkbox" checked={again} onChange={(event) => setAgain(event.currentTarget.checked)} /> every 2 s</label>
        <label class="check"><input type="checkbox" checked={summed} onChange={(event) => setSummed(event.currentTarget.checked)} /> sums of subtrees</label>
        {pid !== null ? <button type="button" class="quiet" onClick={() => setPid(null)}>close</button> : null}
      </form>
      {tree.error.value ? <p class="problem" role="alert">{tree.error.value}</p> : null}
      {value ? (
        <>
          <p class="totals" aria-live="off">
            pid <b>{value.pid}</b> at {clock(value.at, zoneName.value, 1)}: <b>{value.processes.length}</b> {value.processes.length === 1 ? 'process' : 'processes'} · <b>{amount(value.threads, 'count')}</b> threads
          </p>
          <table class="by-command">
            <thead><tr><th>by command</th><th class="end">processes</th><th class="end">threads</th><th class="end">memory</th><th class="end">CPU</th></tr></thead>
            <tbody>
              {value.byCommand.map((each) => (
                <tr key={each.command}><td title={each.command}>{each.command}</td><td class="end">{each.processes}</td><td class="end">{amount(each.threads, 'count')}</td><td class="end">{amount(each.residentBytes, 'bytes')}</td><td class="end">{amount(each.cores, 'cores')}</td></tr>
              ))}
            </tbody>
          </table>
          <Processes label={`Processes below ${value.pid}, now`} rows={value.processes} asTree summed={summed} find="" selected={selected} empty="" onSelect={(row) => setSelected(identity(row))} />
        </>
      ) : null}
    </details>
  );
}
