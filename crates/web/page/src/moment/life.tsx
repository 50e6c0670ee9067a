// The life of one process: who it was, from when to when, how it ended, and its own charts.
import { computed } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import type { ProcessRow } from '../api.ts';
import { useFetched } from '../charts/fetch.ts';
import { Chart } from '../charts/panel.tsx';
import { duration } from '../numbers.ts';
import { colour, grown, live, moment, process, setView, source, zoneName } from '../state.ts';
import { dateAndClock, clock } from '../time.ts';
import { exitWords } from '../shell/header.tsx';
import { Icon } from '../ui/ui.tsx';
import { title } from './rows.ts';

const slowly = computed(() => Math.floor(grown.value / 5));

export function LifeOf({ run, pid, startTicks, row }: { run: string; pid: number; startTicks: number; row: ProcessRow | null }): ComponentChildren {
  const answer = useFetched(() => {
    // Its life goes on while it is recorded.
    if (live.value) void slowly.value;
    return (abort) => source.peek().life(run, pid, startTicks, abort);
  }, [run, pid, startTicks]);
  const life = answer.value.value;
  useEffect(() => {
    // Found elsewhere in the run: its first moment is one at which it was there.
    if (life && moment.peek() !== null && (moment.peek()! < life.from || moment.peek()! > life.to)) moment.value = life.from;
  }, [life?.from, life?.pid]);
  const zone = zoneName.value;
  const last = life?.identities[life.identities.length - 1];
  const name = last?.name ?? (row ? title(row) : `pid ${pid}`);
  const ended = life && (life.exitCode !== null || life.exitSignal !== null);
  return (
    <section class="life" aria-label={`The life of ${name}`}>
      <header class="section-head">
        <h3><span class="swatch" aria-hidden="true" style={{ background: colour(`${name} (${pid})`) }} />{name} <span class="pid">{pid}</span></h3>
        {life ? (
          <>
            <span>
              <button type="button" class="link" title={`Look at its begin: ${dateAndClock(life.from, zone, 3)}`} onClick={() => (moment.value = life.from)}>{clock(life.from, zone, 1)}</button>
              {' – '}
              <button type="button" class="link" title={`Look at its end: ${dateAndClock(life.to, zone, 3)}`} onClick={() => (moment.value = life.to)}>{clock(life.to, zone, 1)}</button>
              {` · ${duration((life.to - life.from) / 1000)}`}
            </span>
            {ended ? <span class={life.exitCode === 0 ? '' : 'bad'}>{exitWords(life.exitCode, life.exitSignal)}</span> : null}
            <button type="button" onClick={() => setView({ from: life.from, to: Math.max(life.to, life.from + 1000) })}>Zoom to it</button>
          </>
        ) : null}
        <button type="button" class="quiet icon" aria-label="Close its life" onClick={() => (process.value = null)}><Icon name="close" size={12} /></button>
      </header>
      {answer.error.value ? <p class="problem" role="alert">{answer.error.value}</p> : null}
      {life ? (
        <>
          <ol class="identities">
            {life.identities.map((each, at) => (
              <li key={`${each.at} ${at}`}>
                <button type="button" class="link" onClick={() => (moment.value = each.at)}>{clock(each.at, zone, 1)}</button>
                {each.change ? <span class="tag">{each.change}</span> : null} <b>{each.name}</b> <code>{each.command}</code>
                <span class="hint">{[each.user && `of ${each.user}`, each.parentPid !== null && `child of ${each.parentPid}`, each.container && `container ${each.container.slice(0, 12)}`].filter(Boolean).join(' · ')}</span>
              </li>
            ))}
          </ol>
          <div class="timed">{life.panels.map((panel) => <Chart key={panel.id} panel={panel} />)}</div>
        </>
      ) : null}
    </section>
  );
}
