// Watch points: rules that raise events where a metric is beyond a level, for this page.
import { useEffect, useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import type { Panel } from '../api.ts';
import { useFetched } from '../charts/fetch.ts';
import { amount } from '../numbers.ts';
import { words } from '../source.ts';
import { following, grown, refreshRun, run, runId, session, source, takeSession, whole } from '../state.ts';
import { Dialog, Icon } from '../ui/ui.tsx';
import { readDuration, showDuration } from '../control/settings.ts';
import { raiseBy, raised, rules, setRules } from './store.ts';
import { condition, readLevel, type Rule } from './watch.ts';

/** Points of the whole run that a rule looks at. Each is a bucket with its lowest and highest value, so that nothing beyond the level is missed. */
const BUCKETS = 4000;

/** Keeps what the rules raise up to date. */
export function WatchPoints(): ComponentChildren {
  return rules.value.filter((rule) => rule.on).map((rule) => <WatchPoint key={JSON.stringify(rule)} rule={rule} />);
}

function WatchPoint({ rule }: { rule: Rule }): ComponentChildren {
  const frame = useFetched(() => {
    const id = runId.value;
    const { from, to } = whole.value;
    if (following.value) void grown.value;
    const known = run.value?.tables.some((table) => table.name === rule.spec.table) ?? false;
    return id === null || !known ? null : (abort) => source.peek().frame(id, { from, to, buckets: BUCKETS, specs: [rule.spec] }, abort);
  }, [], 200);
  useEffect(() => {
    if (frame.value.value) raiseBy(rule, frame.value.value);
  }, [frame.value.value]);
  return null;
}

/** Whether the run's recorder can be told what to mark. */
function mayTell(): boolean {
  const known = run.value;
  return known !== null && known.state === 'live' && known.writable && known.id !== session.value?.machine && !source.value.embedded && session.value?.readOnly === false;
}

interface Choice { label: string; panel: Panel; place: number }

export function Watch({ onClose }: { onClose(): void }): ComponentChildren {
  const [picked, setPicked] = useState(0);
  const [above, setAbove] = useState(true);
  const [level, setLevel] = useState('');
  const [seconds, setSeconds] = useState('');
  const [byRecorder, setByRecorder] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const choices = (run.value?.panels ?? []).flatMap((panel) => panel.specs.map((spec, place): Choice => ({ label: spec.by ? `${panel.title}: any of them` : spec.label && spec.label !== panel.title ? `${panel.title}: ${spec.label}` : panel.title, panel, place })));
  const choice = choices[picked];
  const value = readLevel(level);
  const length = seconds.trim() === '' ? 0 : readDuration(seconds);
  const isRight = choice !== undefined && value !== null && length !== null;
  const tell = async (markWhen: string[]): Promise<void> => {
    const id = runId.peek();
    if (id === null) return;
    setProblem(null);
    try {
      takeSession(await source.peek().control({ do: 'set', settings: { markWhen }, run: id }));
      await refreshRun(id);
    } catch (error) {
      setProblem(words(error));
    }
  };
  const add = (): void => {
    if (!isRight) return;
    const { by, top, ...rest } = choice.panel.specs[choice.place]!;
    const spec = by ? { ...rest, by, top: top ?? 20 } : rest;
    if (byRecorder && mayTell()) {
      const said = condition({ spec, unit: choice.panel.unit, above, level: value, seconds: length });
      if (said === null) setProblem('A recorder looks at one metric, of one device or of all together: let this page watch that one.');
      else void tell([...(run.peek()?.markWhen ?? []).filter((each) => each !== said), said]);
      return;
    }
    setRules([...rules.value, { id: Math.random().toString(36).slice(2), metric: choice.label.replace(': any of them', ''), unit: choice.panel.unit, spec, above, level: value, seconds: length, on: true }]);
    setLevel('');
  };
  return (
    <Dialog title="Watch points" wide onClose={onClose}>
      <p class="hint">An event is raised wherever a metric is above or below a level, and was for so long. This page looks, over the whole run and while it grows; your browser keeps the rules.</p>
      <form class="form watch" onSubmit={(event) => {
        event.preventDefault();
        add();
      }}>
        <label>Metric <select value={picked} onChange={(event) => setPicked(Number(event.currentTarget.value))}>
          <optgroup label="Shown">{choices.map((each, place) => (each.panel.shown ? <option key={place} value={place}>{each.label}</option> : null))}</optgroup>
          <optgroup label="All others">{choices.map((each, place) => (each.panel.shown ? null : <option key={place} value={place}>{each.label}</option>))}</optgroup>
        </select></label>
        <label>is <select value={above ? 'above' : 'below'} onChange={(event) => setAbove(event.currentTarget.value === 'above')}><option>above</option><option>below</option></select></label>
        <label>the level <input type="text" size={10} placeholder={choice?.panel.unit === 'bytes' ? '4 GiB' : choice?.panel.unit === 'ratio' ? '80 %' : '1.5'} value={level} onInput={(event) => setLevel(event.currentTarget.value)} /></label>
        <label>for <input type="text" size={6} placeholder="0s" value={seconds} onInput={(event) => setSeconds(event.currentTarget.value)} /></label>
        {mayTell() ? <label>by <select value={byRecorder ? 'recorder' : 'page'} onChange={(event) => setByRecorder(event.currentTarget.value === 'recorder')}><option value="page">this page</option><option value="recorder">the recorder</option></select></label> : null}
        <button type="submit" class="primary" disabled={!isRight}>Watch</button>
      </form>
      {problem ? <p class="problem" role="alert">{problem}</p> : null}
      {(run.value?.markWhen ?? []).length > 0 ? (
        <>
          <p class="hint">The recorder itself marks when these begin and end, also when nobody looks:</p>
          <ul class="rules">
            {run.value!.markWhen.map((said) => (
              <li key={said}>
                <code>{said}</code>
                {mayTell() ? <button type="button" class="quiet icon" aria-label={`Forget ${said}`} onClick={() => void tell(run.value!.markWhen.filter((each) => each !== said))}><Icon name="trash" size={14} /></button> : null}
              </li>
            ))}
          </ul>
        </>
      ) : null}
      {rules.value.length === 0 ? <p class="hint">Nothing is watched.</p> : (
        <ul class="rules">
          {rules.value.map((rule) => (
            <li key={rule.id}>
              <label class="check"><input type="checkbox" checked={rule.on} onChange={(event) => setRules(rules.value.map((each) => (each.id === rule.id ? { ...each, on: event.currentTarget.checked } : each)))} />
                {' '}<b>{rule.metric}</b> {rule.above ? 'above' : 'below'} <b>{amount(rule.level, rule.unit)}</b>{rule.seconds > 0 ? ` for ${showDuration(rule.seconds)}` : ''}</label>
              <span class="hint">{rule.on ? `${raised.value.get(rule.id)?.length ?? 0} events` : 'off'}</span>
              <button type="button" class="quiet icon" aria-label={`Forget ${rule.metric}`} onClick={() => setRules(rules.value.filter((each) => each.id !== rule.id))}><Icon name="trash" size={14} /></button>
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}
