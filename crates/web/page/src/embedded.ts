// The source of a report: everything is in the page, packed, and questions are answered from it.
import type { Difference, Event, Events, Frame, FrameQuery, Life, Line, Moment, Panel, ProcessRow, Run, Session, Spans, Spec, Summary, Tree } from './api.ts';
import { decodeFrame, lastAtOrBefore, nearest } from './frame.ts';
import type { Source } from './source.ts';

/** What a report carries. */
export interface Pack {
  session: Session;
  run: Run;
  spans: Spans;
  events: Events;
  /** Lines of the whole run, and what was asked for. */
  specs: Spec[];
  frame: Frame;
  /** Columns of all processes, by their keys; and who they were. */
  processSpecs: Spec[];
  processes: Frame;
  identities: ProcessRow[];
}

/** Names of the parts in the file, each in gzip and base64. Lines lie in frames, all else in one text. */
interface Packed { text: string; frame: string; processes: string }

/** Opens what the report's file carries. */
export async function unpack(packed: Packed): Promise<Pack> {
  const [text, frame, processes] = await Promise.all([gunzip(packed.text), gunzip(packed.frame), gunzip(packed.processes)]);
  const told = JSON.parse(new TextDecoder().decode(text)) as Omit<Pack, 'frame' | 'processes'>;
  return { ...told, frame: decodeFrame(frame), processes: decodeFrame(processes) };
}

async function gunzip(base64: string): Promise<ArrayBuffer> {
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
}

/** What makes two specs the same question: not how they are called, nor how many of them are shown. */
export const question = ({ table, plus, minus, where, by }: Spec): string => JSON.stringify([table, plus, minus ?? [], Object.entries(where ?? {}).sort(), by === true]);

/** The part of a line within a window, with its neighbours; in buckets, if it has more points than are wanted. What it comes to is worked out from its points. */
export function cut(line: Line, from: number, to: number, buckets: number): Line {
  const { x } = line;
  const first = Math.max(0, lastAtOrBefore(x, from));
  const end = Math.min(x.length, lastAtOrBefore(x, to) + 2);
  const summary = sum(line, from, to);
  if (end - first <= Math.max(2, buckets) + 2) {
    const part = (column: Float64Array): Float64Array => column.subarray(first, end);
    return { ...line, summary, x: part(x), mean: part(line.mean), min: line.min && part(line.min), max: line.max && part(line.max) };
  }
  const each = Math.ceil((end - first) / buckets);
  const count = Math.ceil((end - first) / each);
  const thin: Line = { ...line, summary, x: new Float64Array(count), mean: new Float64Array(count), min: new Float64Array(count), max: new Float64Array(count) };
  for (let bucket = 0; bucket < count; bucket += 1) {
    const begin = first + bucket * each;
    const stop = Math.min(end, begin + each);
    let known = 0;
    let total = 0;
    let low = NaN;
    let high = NaN;
    for (let at = begin; at < stop; at += 1) {
      const value = line.mean[at]!;
      if (Number.isNaN(value)) continue;
      known += 1;
      total += value;
      const least = line.min ? line.min[at]! : value;
      const most = line.max ? line.max[at]! : value;
      if (!(low <= least)) low = least;
      if (!(high >= most)) high = most;
    }
    thin.x[bucket] = (x[begin]! + x[stop - 1]!) / 2;
    thin.mean[bucket] = known > 0 ? total / known : NaN;
    thin.min![bucket] = low;
    thin.max![bucket] = high;
  }
  return thin;
}

/** Times in a report are whole milliseconds, so the last may lie a little after the end of what was recorded. */
const ROUNDED = 0.501;

/** What a line comes to within a window. All of it is what its rows came to, when the report was made. */
function sum(line: Line, from: number, to: number): Summary {
  const { x, mean, max } = line;
  const first = lastAtOrBefore(x, from - ROUNDED) + 1;
  const last = lastAtOrBefore(x, to + ROUNDED);
  // What was added up here has none yet.
  if (first === 0 && last === x.length - 1 && line.summary.last !== null) return line.summary;
  const known: number[] = [];
  let peak: number | null = null;
  let peakAt: number | null = null;
  for (let at = first; at <= last; at += 1) {
    if (Number.isNaN(mean[at]!)) continue;
    known.push(mean[at]!);
    const high = max ? max[at]! : mean[at]!;
    if (peak === null || high > peak) {
      peak = high;
      peakAt = x[at]!;
    }
  }
  if (known.length === 0) return { mean: null, p95: null, peak: null, peakAt: null, total: null, last: null };
  const all = known.reduce((total, value) => total + value, 0);
  const lastValue = known.at(-1)!;
  const sorted = known.slice().sort((a, b) => a - b);
  const spacing = x.length > 1 ? (x[x.length - 1]! - x[0]!) / (x.length - 1) / 1000 : 0;
  // Who is there for a part of the window only had nothing in the rest, so that means add up.
  const points = line.kind === 'subject' ? Math.max(known.length, last - first + 1) : known.length;
  return { mean: all / points, p95: sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * 0.95) - 1)]!, peak, peakAt, total: line.summary.total === null ? null : all * spacing, last: lastValue };
}

/** The sum of lines, as a line of its own. */
function added(lines: Line[], like: Line): Line {
  const mean = new Float64Array(like.x.length).fill(NaN);
  const max = like.max ? new Float64Array(like.x.length).fill(NaN) : undefined;
  for (const line of lines) {
    for (let at = 0; at < line.x.length; at += 1) {
      if (Number.isNaN(line.mean[at]!)) continue;
      mean[at] = (Number.isNaN(mean[at]!) ? 0 : mean[at]!) + line.mean[at]!;
    }
  }
  // Highest values of several lines were not at one time: their sum would be too much.
  return { ...like, mean, min: max && mean, max: max && mean };
}

/** Columns of the process table, by the columns that they are made of. */
const COLUMNS: Record<string, 'cores' | 'residentBytes' | 'read' | 'written' | 'threads' | 'openFiles' | 'waiting'> = {
  'user_seconds,system_seconds': 'cores',
  resident_bytes: 'residentBytes',
  read_bytes: 'read',
  written_bytes: 'written',
  threads: 'threads',
  open_files: 'openFiles',
  run_delay_seconds: 'waiting',
};

/** How a process's own charts are called. */
const CHARTS: [id: string, title: string, columns: string[][]][] = [
  ['process-cpu', 'CPU', [['user_seconds', 'system_seconds']]],
  ['process-memory', 'Memory', [['resident_bytes']]],
  ['process-io', 'Reading and writing', [['read_bytes'], ['written_bytes']]],
  ['process-threads', 'Threads and open files', [['threads'], ['open_files']]],
];

const never = (): Promise<never> => Promise.reject(new Error('This is a report: it shows what was recorded, and nothing can be changed through it.'));

export class EmbeddedSource implements Source {
  readonly embedded = true;
  private readonly lines = new Map<string, Line[]>();

  constructor(private readonly pack: Pack) {
    const keep = (specs: Spec[], frame: Frame): void => {
      specs.forEach((spec, at) => {
        const key = question(spec);
        // The first that was asked is the one with most lines.
        if (!this.lines.has(key)) this.lines.set(key, frame.lines.filter((line) => line.spec === at));
      });
    };
    keep(pack.specs, pack.frame);
    keep(pack.processSpecs, pack.processes);
  }

  session = (): Promise<Session> => Promise.resolve(this.pack.session);
  run = (): Promise<Run> => Promise.resolve(this.pack.run);

  async frame(_: string, query: FrameQuery): Promise<Frame> {
    const lines = query.specs.flatMap((spec, place) => this.answer(spec, query).map((line) => ({ ...line, spec: place })));
    return { from: query.from, to: query.to, lines, gaps: this.pack.frame.gaps };
  }

  private answer(spec: Spec, { from, to, buckets }: FrameQuery): Line[] {
    const known = this.lines.get(question(spec)) ?? this.ofProcess(spec);
    const label = (line: Line): string => spec.label && spec.by !== true ? spec.label : line.label;
    const within = known.map((line) => ({ line, kept: cut(line, from, to, buckets) })).filter(({ kept }) => spec.by !== true || kept.summary.last !== null);
    if (spec.by !== true) return within.map(({ line, kept }) => ({ ...kept, label: label(line) }));
    const subjects = within.filter(({ line }) => line.kind === 'subject').sort((a, b) => (b.kept.summary.mean ?? 0) - (a.kept.summary.mean ?? 0));
    const rest = [...subjects.splice(spec.top ?? Infinity), ...within.filter(({ line }) => line.kind === 'others')];
    const shown = subjects.map(({ kept }) => kept);
    if (rest.length === 0) return shown;
    if (rest.length === 1 && rest[0]!.line.kind === 'others') return [...shown, rest[0]!.kept];
    const others = added(rest.map(({ line }) => line), { ...rest[0]!.line, kind: 'others', label: spec.label ? `others ${spec.label}` : 'others', key: [], summary: { mean: null, p95: null, peak: null, peakAt: null, total: null, last: null } });
    const kept = cut(others, from, to, buckets);
    // Means add up, as who is not there has nothing then.
    const mean = rest.reduce((sum, each) => sum + (each.kept.summary.mean ?? 0), 0);
    return [...shown, { ...kept, summary: { ...kept.summary, mean: kept.summary.mean === null ? null : mean } }];
  }

  /** Columns of one process are among those of all. */
  private ofProcess(spec: Spec): Line[] {
    const { pid, start_ticks: start } = spec.where ?? {};
    if (spec.table !== 'process' || pid === undefined || start === undefined) return [];
    return (this.lines.get(question({ ...spec, where: undefined, by: true })) ?? []).filter(({ key }) => key[0] === pid && key[1] === start).map((line) => ({ ...line, kind: 'whole' }));
  }

  async processes(_: string, at: number): Promise<Moment> {
    const rows = new Map<string, ProcessRow>(this.pack.identities.map((who) => [`${who.pid}.${who.startTicks}`, who]));
    const there = new Map<string, ProcessRow>();
    for (const line of this.pack.processes.lines) {
      const column = COLUMNS[this.pack.processSpecs[line.spec]!.plus.join()];
      const place = nearest(line.x, at);
      if (!column || place < 0) continue;
      const value = line.mean[place]!;
      const [pid, startTicks] = line.key as [number, number];
      const key = `${pid}.${startTicks}`;
      const known = there.get(key);
      if (!known && Number.isNaN(value)) continue;
      const row = known ?? { ...(rows.get(key) ?? nobody(pid, startTicks, line.label)), cores: null, residentBytes: null, read: null, written: null, threads: null, openFiles: null, waiting: null };
      row[column] = Number.isNaN(value) ? null : value;
      if (!known) {
        // Identities carry the age at the end of the run.
        row.ageSeconds = row.ageSeconds === null ? null : Math.max(0, row.ageSeconds - (this.pack.run.to - at) / 1000);
        there.set(key, row);
      }
    }
    return { at, processes: [...there.values()].sort((a, b) => a.pid - b.pid) };
  }

  async findProcesses(_: string, text: string): Promise<Moment> {
    const wanted = text.trim().toLowerCase();
    const has = (said: string | null): boolean => said !== null && said.toLowerCase().includes(wanted);
    return { at: this.pack.run.to, processes: wanted === '' ? [] : this.pack.identities.filter((who) => String(who.pid) === wanted || has(who.name) || has(who.command)) };
  }

  async life(_: string, pid: number, startTicks: number): Promise<Life> {
    const who = this.pack.identities.find((row) => row.pid === pid && row.startTicks === startTicks);
    const lines = this.pack.processes.lines.filter(({ key }) => key[0] === pid && key[1] === startTicks);
    if (!who && lines.length === 0) throw new Error(`This report knows no process ${pid} that began at tick ${startTicks}.`);
    let from = Infinity;
    let to = -Infinity;
    for (const { x, mean } of lines) {
      for (let at = 0; at < x.length; at += 1) {
        if (Number.isNaN(mean[at]!)) continue;
        from = Math.min(from, x[at]!);
        to = Math.max(to, x[at]!);
      }
    }
    const panels = CHARTS.map(([id, title, columns]): Panel => {
      const specs = columns.filter((plus) => this.lines.has(question({ table: 'process', plus, by: true }))).map((plus): Spec => ({ table: 'process', plus, where: { pid, start_ticks: startTicks }, label: columns.length > 1 ? plus[0]!.replace(/_bytes$/, '').replaceAll('_', ' ') : title }));
      return { id, title, help: '', unit: lines.find((line) => this.pack.processSpecs[line.spec]!.plus.join() === columns[0]!.join())?.unit ?? 'number', style: id === 'process-cpu' ? 'stack' : 'lines', specs, limits: [], shown: true };
    }).filter(({ specs }) => specs.length > 0);
    const identity = { at: from, change: null, name: who?.name ?? null, command: who?.command ?? null, executable: null, user: who?.user ?? null, parentPid: who?.parentPid ?? null, cgroup: null, container: null };
    return { pid, startTicks, from: Number.isFinite(from) ? from : this.pack.run.from, to: Number.isFinite(to) ? to : this.pack.run.to, exitCode: null, exitSignal: null, identities: [identity], panels };
  }

  async spans(_: string, from: number, to: number, limit: number): Promise<Spans> {
    const end = this.pack.run.to;
    const found = this.pack.spans.spans.filter((span) => span.from <= to && (span.to ?? end) >= from);
    if (found.length <= limit) return { spans: found, left_out: this.pack.spans.left_out };
    const long = [...found].sort((a, b) => (b.to ?? end) - b.from - ((a.to ?? end) - a.from)).slice(0, limit);
    return { spans: long.sort((a, b) => a.from - b.from), left_out: this.pack.spans.left_out + found.length - limit };
  }

  async events(_: string, from: number, to: number): Promise<Events> {
    return { events: this.pack.events.events.filter((event) => event.at <= to && event.at + (event.duration ?? 0) >= from), left_out: this.pack.events.left_out };
  }

  addEvent = (): Promise<Event> => never();
  changeEvent = (): Promise<Event> => never();
  deleteEvent = (): Promise<void> => never();
  importEvents = (): Promise<never> => never();
  eventsAddress = (): null => null;
  difference = (): Promise<Difference[]> => Promise.resolve([]);
  tree = (): Promise<Tree> => never();
  control = (): Promise<Session> => never();
  watchRun = (): (() => void) => () => undefined;
  watchSession = (): (() => void) => () => undefined;
}

const nobody = (pid: number, startTicks: number, label: string): ProcessRow => ({
  pid, startTicks, parentPid: null, name: label.replace(/ ?\(\d+\)$/, '') || null, command: null, user: null, state: null, inJob: false,
  cores: null, residentBytes: null, read: null, written: null, threads: null, openFiles: null, waiting: null, ageSeconds: null,
});
