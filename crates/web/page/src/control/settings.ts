// What is typed to start a recorder or to change one, read and checked before it is sent.
import type { Settings } from '../api.ts';

/** The form as it is typed. */
export interface Typed { path: string; interval: string; writeInterval: string; processes: string; top: string; pids: string; without: readonly string[] }

export type Wrong = Partial<Record<keyof Typed, string>>;

export const DEFAULTS: Typed = { path: '', interval: '1s', writeInterval: '10s', processes: 'all', top: '20', pids: '', without: [] };

const UNITS: Record<string, number> = { ms: 1e-3, s: 1, sec: 1, m: 60, min: 60, h: 3600 };

/** `100ms`, `1s`, `5m`; a bare number is seconds. */
export function readDuration(text: string): number | null {
  const parts = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const unit = parts && UNITS[parts[2]!.toLowerCase() || 's'];
  return parts && unit ? Number(parts[1]) * unit : null;
}

export function showDuration(seconds: number): string {
  if (seconds < 1) return `${round(seconds * 1e3)}ms`;
  if (seconds < 60 || seconds % 60 !== 0) return `${round(seconds)}s`;
  return seconds % 3600 === 0 ? `${round(seconds / 3600)}h` : `${round(seconds / 60)}m`;
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}

/** Settings as a person would type them. */
export function typed(settings: Settings): Typed {
  const top = /^top:(\d+)$/.exec(settings.processes);
  return {
    path: settings.path ?? '',
    interval: showDuration(settings.intervalSeconds),
    writeInterval: showDuration(settings.writeIntervalSeconds),
    processes: top ? 'top' : settings.processes,
    top: top?.[1] ?? DEFAULTS.top,
    pids: settings.pids.join(' '),
    without: settings.without,
  };
}

/** The settings that were typed, or what is wrong with them, field by field. */
export function read(form: Typed): { settings: Settings; wrong: null } | { settings: null; wrong: Wrong } {
  const wrong: Wrong = {};
  const interval = readDuration(form.interval);
  if (interval === null) wrong.interval = 'A time such as 100ms, 1s or 5m.';
  else if (interval < 0.001) wrong.interval = 'At least 1ms.';
  else if (interval > 86_400) wrong.interval = 'At most a day.';
  const write = readDuration(form.writeInterval);
  if (write === null) wrong.writeInterval = 'A time such as 10s or 1m.';
  else if (write < 0.1) wrong.writeInterval = 'At least 100ms.';
  const top = Number(form.top);
  if (form.processes === 'top' && !(Number.isInteger(top) && top > 0)) wrong.top = 'A whole number, 1 or more.';
  const pids = form.pids.split(/[\s,]+/).filter(Boolean).map(Number);
  if (pids.some((pid) => !Number.isInteger(pid) || pid <= 0)) wrong.pids = 'Process ids: whole numbers with spaces between.';
  if (Object.keys(wrong).length > 0 || interval === null || write === null) return { settings: null, wrong };
  return {
    settings: {
      path: form.path.trim() === '' ? null : form.path.trim(),
      intervalSeconds: interval,
      writeIntervalSeconds: write,
      // All of the pids that were chosen and what is below them; "all" by itself are those of the machine.
      processes: form.processes === 'top' ? `top:${top}` : form.processes === 'all' && pids.length > 0 ? 'tree' : form.processes,
      pids,
      without: [...form.without],
    },
    wrong: null,
  };
}

/** The command line that does the same. */
export function commandLine(settings: Settings): string {
  const words = ['barograph', settings.pids.length > 0 ? 'attach' : 'record'];
  if (settings.pids.length > 0) words.push(...settings.pids.map(String));
  if (settings.path !== null) words.push('-o', shellWord(settings.path));
  if (settings.intervalSeconds !== 1) words.push('-i', showDuration(settings.intervalSeconds));
  if (settings.writeIntervalSeconds !== 10) words.push('-w', showDuration(settings.writeIntervalSeconds));
  if (settings.processes !== (settings.pids.length > 0 ? 'tree' : 'all')) words.push('--processes', shellWord(settings.processes));
  return words.join(' ');
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** What differs from before: the only thing that is sent to a recorder that runs. */
export function changes(before: Settings, after: Settings): Partial<Settings> {
  const result: Partial<Settings> = {};
  if (before.intervalSeconds !== after.intervalSeconds) result.intervalSeconds = after.intervalSeconds;
  if (before.writeIntervalSeconds !== after.writeIntervalSeconds) result.writeIntervalSeconds = after.writeIntervalSeconds;
  if (before.processes !== after.processes) result.processes = after.processes;
  if (before.pids.join() !== after.pids.join()) result.pids = after.pids;
  if ([...before.without].sort().join() !== [...after.without].sort().join()) result.without = after.without;
  return result;
}
