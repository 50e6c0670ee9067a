// The top lines: what run this is, its state, and how it is looked at.
import { useComputed, useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Run, RunHead } from '../api.ts';
import { choosing } from '../charts/charts.tsx';
import { calmView } from '../charts/sheet.ts';
import { dragSelects } from '../charts/surface.tsx';
import { amount, bare, duration, number, plural, stopwatch } from '../numbers.ts';
import { range as rangeNotation } from '../address.ts';
import { activeRange, connected, openRuns, paused, range, run, runIds, session, setView, shownRuns, smoothing, theme, togglePause, zone, zoneName } from '../state.ts';
import { RANGES, clock, dateAndClock, isZone, localZone, offsetName, parseTime, zones } from '../time.ts';
import { choosingRuns } from '../runs/index.tsx';
import { Icon, Menu } from '../ui/ui.tsx';
import type { IconName } from '../ui/ui.tsx';
import { helping } from './help.tsx';

export function Header({ children }: { children: ComponentChildren }) {
  useEffect(() => {
    const told = run.value;
    document.title = told ? `${told.command?.join(' ') ?? told.name} – Barograph` : 'Barograph';
  }, [run.value?.id, run.value?.name]);
  return (
    <header class="header">
      <div class="bar">
        <a class="brand" href="./" aria-label="Barograph" onClick={(event) => {
          event.preventDefault();
          openRuns(session.value?.first ? [session.value.first] : []);
        }}>
          <Mark /> <span>Barograph</span>
        </a>
        <RunMenu />
        <State />
        <div class="control">{children}</div>
        <div class="looks">
          <Ranges />
          <ZoneMenu />
          <ViewMenu />
          <ThemeButton />
          <button type="button" class="quiet icon" title="Keys and gestures (?)" aria-label="Help" onClick={() => (helping.value = true)}><Icon name="help" /></button>
        </div>
      </div>
      {run.value && <Facts run={run.value} />}
    </header>
  );
}

/** The sign: a curve of a barograph on its drum. */
function Mark() {
  return (
    <svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true" fill="none">
      <rect x="1.500" y="2.500" width="17" height="15" rx="2" stroke="currentColor" stroke-opacity=".35" />
      <path d="M3 12.500l3-1.500 2.500-5 3 8 2-4 3.500-1.500" stroke="var(--accent)" stroke-width="1.800" stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}

const nameOf = (head: Pick<RunHead, 'command' | 'name'>): string => (head.command?.length ? head.command.join(' ') : head.name.replace(/\.baro$/, ''));

const STATE = { live: 'recording', ended: 'ended', 'cut off': 'cut off' } as const;

function RunMenu() {
  const all = session.value?.runs ?? [];
  const now = run.value;
  const label = now ? nameOf(now) : (all.find(({ id }) => id === runIds.value[0])?.name ?? '…');
  if (all.length < 2) return <span class="run-name mono" title={now?.path}>{label}</span>;
  return (
    <Menu class="run-menu" title="Choose a run" label={<><span class="run-name mono">{label}</span><Icon name="down" size={12} /></>}>
      {(close) => (
        <ul class="runs-list">
          <li><button type="button" class="quiet" onClick={() => {
            choosingRuns.value = true;
            close();
          }}><Icon name="compare" size={12} /> <span class="text">Several runs on each other…</span></button></li>
          {all.map((head) => (
            <li key={head.id}>
              <button type="button" class="quiet" aria-current={runIds.value[0] === head.id} onClick={() => {
                openRuns([head.id]);
                close();
              }}>
                <i class={`dot ${head.state.replace(' ', '-')}`} />
                <span class="mono text">{nameOf(head)}</span>
                <span class="soft">{head.id === session.value?.machine ? 'this machine' : head.host} · {dateAndClock(head.from, zoneName.value)}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </Menu>
  );
}

function State() {
  const now = run.value;
  if (!now) return <span class="state" />;
  const shown = shownRuns.value[0];
  const seconds = now.state === 'ended' && now.totals.wallSeconds !== null ? now.totals.wallSeconds : ((shown?.to ?? now.to) - now.from) / 1000;
  if (!connected.value && now.state === 'live') return <span class="state lost" role="status"><i class="dot lost" /> not connected</span>;
  const isMachine = now.id === session.value?.machine;
  const bad = now.end && (now.end.signal !== null || (now.end.exitCode ?? 0) !== 0);
  return (
    <span class="state" role="status">
      <i class={`dot ${isMachine ? 'machine' : now.state.replace(' ', '-')}${bad ? ' bad' : ''}`} />
      {isMachine ? 'live, not recorded' : STATE[now.state]} <span class="numbers">{stopwatch(seconds)}</span>
      {now.state === 'live' && (
        <button type="button" class="quiet icon small" aria-pressed={paused.value} aria-label={paused.value ? 'Go on' : 'Hold the picture still'} title={`${paused.value ? 'Go on' : 'Hold the picture still; it is recorded all the same'} (Space)`} onClick={togglePause}>
          <Icon name={paused.value ? 'play' : 'pause'} size={12} />
        </button>
      )}
    </span>
  );
}

const SIGNALS: Record<number, string> = { 1: 'SIGHUP', 2: 'SIGINT', 3: 'SIGQUIT', 4: 'SIGILL', 6: 'SIGABRT', 7: 'SIGBUS', 8: 'SIGFPE', 9: 'SIGKILL', 11: 'SIGSEGV', 13: 'SIGPIPE', 15: 'SIGTERM' };

/** How a process ended, in words. */
export function exitWords(exitCode: number | null, signal: number | null): string {
  if (signal !== null) return `killed by ${SIGNALS[signal] ? `${SIGNALS[signal]} (${signal})` : `signal ${signal}`}`;
  return exitCode === null ? 'ended' : `exit ${exitCode}`;
}

function Facts({ run: now }: { run: Run }) {
  const zoneIs = zoneName.value;
  const { limits, totals, end } = now;
  const facts: { text: string; title?: string; bad?: boolean; mono?: boolean }[] = [];
  const host = [now.host, now.cores === null ? null : plural(now.cores, 'core', 'cores'), now.memoryBytes === null ? null : bare(amount(now.memoryBytes, 'bytes'))].filter(Boolean).join(' · ');
  if (host) facts.push({ text: host, title: [now.os, now.kernel && `Linux ${now.kernel}`].filter(Boolean).join(', ') });
  const limit = [limits.cores === null ? null : plural(limits.cores, 'core', 'cores'), limits.memoryBytes === null ? null : bare(amount(limits.memoryBytes, 'bytes'))].filter(Boolean).join(', ');
  if (limit) facts.push({ text: `limit ${limit}`, title: limits.origin ?? undefined });
  if (now.directory) facts.push({ text: now.directory, title: `directory${now.user ? ` of ${now.user}` : ''}`, mono: true });
  facts.push({ text: `${dateAndClock(now.from, zoneIs)}${now.state === 'live' ? '' : ` – ${clock(now.to, zoneIs)}`}`, title: `every ${duration(now.intervalSeconds)}; made in the zone ${now.zone ?? 'that the file does not tell'}` });
  // That it ended stands above; here stands how, where that is known.
  if (end && (end.exitCode !== null || end.signal !== null)) facts.push({ text: exitWords(end.exitCode, end.signal), title: end.reason, bad: end.signal !== null || (end.exitCode ?? 0) !== 0 });
  if (totals.userSeconds !== null) facts.push({ text: `CPU ${duration(totals.userSeconds + (totals.systemSeconds ?? 0))}`, title: `${duration(totals.userSeconds)} in programs, ${duration(totals.systemSeconds ?? 0)} in the kernel` });
  if (totals.peakBytes !== null) facts.push({ text: `peak memory ${amount(totals.peakBytes, 'bytes')}`, bad: limits.memoryBytes !== null && totals.peakBytes > limits.memoryBytes * 0.98 });
  if (totals.readBytes !== null) facts.push({ text: `read ${amount(totals.readBytes, 'bytes')}` });
  if (totals.writtenBytes !== null) facts.push({ text: `written ${amount(totals.writtenBytes, 'bytes')}` });
  if (totals.processes !== null) facts.push({ text: plural(totals.processes, 'process', 'processes') });
  return (
    <ul class="facts" aria-label="Facts of the run">
      {facts.map(({ text, title, bad, mono }) => <li key={text} class={`${bad ? 'bad' : ''}${mono ? ' mono' : ''}`} title={title}>{text}</li>)}
    </ul>
  );
}

function Ranges() {
  const text = useComputed(() => rangeNotation.write(activeRange.value));
  return (
    <div class="ranges">
      <div class="segments" role="group" aria-label="Range">
        {RANGES.map(({ label, range: offered }) => (
          <button key={label} type="button" aria-pressed={text.value === label} onClick={() => (range.value = offered)}>{label}</button>
        ))}
      </div>
      <Menu title="A range of your own" class="range-menu" label={activeRange.value.kind === 'free' ? <>{clock(calmView.value.from, zoneName.value)} – {clock(calmView.value.to, zoneName.value)}<Icon name="down" size={12} /></> : <Icon name="down" size={12} />}>
        {(close) => <FreeRange close={close} />}
      </Menu>
    </div>
  );
}

function FreeRange({ close }: { close: () => void }) {
  const zoneIs = zoneName.value;
  const typed = useSignal<{ from: string; to: string } | null>(null);
  const now = typed.value ?? { from: dateAndClock(calmView.value.from, zoneIs, 0), to: dateAndClock(calmView.value.to, zoneIs, 0) };
  const from = parseTime(now.from, zoneIs, calmView.value.from);
  const to = parseTime(now.to, zoneIs, calmView.value.from);
  const wrong = from === null ? 'The begin is no time.' : to === null ? 'The end is no time.' : to <= from ? 'The end is not after the begin.' : null;
  return (
    <form class="fields" onSubmit={(event) => {
      event.preventDefault();
      if (from === null || to === null || to <= from) return;
      setView({ from, to });
      typed.value = null;
      close();
    }}>
      <label>From <input type="text" class="mono" value={now.from} spellcheck={false} onInput={(event) => (typed.value = { ...now, from: event.currentTarget.value })} /></label>
      <label>to <input type="text" class="mono" value={now.to} spellcheck={false} onInput={(event) => (typed.value = { ...now, to: event.currentTarget.value })} /></label>
      <p class="soft">Times of {zoneIs}. A date, a time, or both; or ISO 8601 with its zone.</p>
      {wrong && typed.value && <p class="wrong" role="alert">{wrong}</p>}
      <button type="submit" class="primary" disabled={wrong !== null}>Look at it</button>
    </form>
  );
}

function ZoneMenu() {
  const data = run.value?.zone ?? null;
  const text = useSignal('');
  const found = useComputed(() => {
    const needle = text.value.trim().toLowerCase().replaceAll(' ', '_');
    if (!needle) return [];
    const known = zones().filter((name) => name.toLowerCase().includes(needle)).slice(0, 40);
    // Names that have become another's are known to browsers, and not listed.
    const typed = text.value.trim();
    return isZone(typed) && !known.some((name) => name.toLowerCase() === typed.toLowerCase()) ? [typed, ...known] : known;
  });
  const label = zone.value === 'local' ? 'Local' : zone.value === 'data' ? 'Data’s' : zone.value.split('/').at(-1)!.replaceAll('_', ' ');
  const at = calmView.value.from;
  const row = (value: string, name: string, iana: string, close: () => void) => (
    <li key={value}>
      <button type="button" class="quiet" aria-current={zone.value === value} onClick={() => {
        zone.value = value;
        text.value = '';
        close();
      }}>
        <span class="text">{name}</span> <span class="soft numbers">{offsetName(at, iana)}</span>
      </button>
    </li>
  );
  return (
    <Menu title={`Zone of the times: ${zoneName.value}`} label={<>{label}<Icon name="down" size={12} /></>} class="zone-menu">
      {(close) => (
        <>
          <ul>
            {row('local', `Local: ${localZone()}`, localZone(), close)}
            {row('UTC', 'UTC', 'UTC', close)}
            {data && isZone(data) && row('data', `Where it was made: ${data}`, data, close)}
            {!['local', 'UTC', 'data'].includes(zone.value) && row(zone.value, zone.value, zone.value, close)}
          </ul>
          <input type="search" placeholder="Another zone: Tokyo, America/…" aria-label="Search zones" value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} />
          <ul class="found">{found.value.map((name) => row(name, name.replaceAll('_', ' '), name, close))}</ul>
        </>
      )}
    </Menu>
  );
}

function ViewMenu() {
  return (
    <Menu title="How it is drawn" class="view-menu" label={<Icon name="columns" />}>
      {(close) => (
        <div class="fields">
          <label class="slider">
            <span>Smoothing <b class="numbers">{smoothing.value === 1 ? 'off' : `${number(smoothing.value).replace(/\.0+$/, '')} samples`}</b></span>
            <input type="range" min={1} max={10} step={1} value={smoothing.value} onInput={(event) => (smoothing.value = event.currentTarget.valueAsNumber)} />
          </label>
          <div>
            <span id="drag-does">A drag</span>
            <div class="segments" role="group" aria-labelledby="drag-does">
              <button type="button" aria-pressed={!dragSelects.value} onClick={() => (dragSelects.value = false)}>zooms</button>
              <button type="button" aria-pressed={dragSelects.value} onClick={() => (dragSelects.value = true)}>selects</button>
            </div>
          </div>
          <button type="button" onClick={() => {
            close();
            choosing.value = true;
          }}><Icon name="plus" /> Choose charts</button>
          <CopyLink />
          <button type="button" onClick={() => {
            close();
            // The menu must be gone before the page is drawn for paper.
            setTimeout(() => print(), 60);
          }}>Print</button>
        </div>
      )}
    </Menu>
  );
}

function CopyLink() {
  const said = useSignal('');
  if (location.protocol === 'file:') return null;
  return (
    <button type="button" onClick={() => {
      // The address is written a little after what it is about.
      setTimeout(() => void navigator.clipboard.writeText(location.href).then(() => (said.value = 'Copied'), () => (said.value = 'The browser forbids it: copy the address')), 300);
      setTimeout(() => (said.value = ''), 3000);
    }}>
      <Icon name="link" /> <span aria-live="polite">{said.value || 'Copy the link to this picture'}</span>
    </button>
  );
}

const THEMES: { value: 'system' | 'light' | 'dark'; icon: IconName; says: string }[] = [
  { value: 'system', icon: 'half', says: 'as the system' },
  { value: 'light', icon: 'sun', says: 'light' },
  { value: 'dark', icon: 'moon', says: 'dark' },
];

function ThemeButton() {
  const at = THEMES.findIndex(({ value }) => value === theme.value);
  const next = THEMES[(at + 1) % THEMES.length]!;
  return (
    <button type="button" class="quiet icon" title={`Theme: ${THEMES[at]!.says}. Click for ${next.says}.`} aria-label={`Theme: ${THEMES[at]!.says}. Change to ${next.says}.`} onClick={() => (theme.value = next.value)}>
      <Icon name={THEMES[at]!.icon} />
    </button>
  );
}
