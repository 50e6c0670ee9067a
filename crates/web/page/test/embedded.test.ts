// What a report answers from itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Frame, Line, ProcessRow, Run, Session, Spec } from '../src/api.ts';
import { EmbeddedSource, cut, question } from '../src/embedded.ts';

const nothing = { mean: null, p95: null, peak: null, peakAt: null, total: null, last: null };
const times = Float64Array.from({ length: 100 }, (_, at) => at * 1000);

function line(values: (at: number) => number, more: Partial<Line> = {}): Line {
  return { spec: 0, label: 'a', kind: 'whole', key: [], unit: 'cores', summary: { ...nothing, mean: 1, peak: 2, total: 50, last: 1 }, x: times, mean: times.map((_, at) => values(at)), ...more };
}

test('a stretch with few points is shown as it is, with a neighbour on each side', () => {
  const part = cut(line((at) => at), 10_500, 13_000, 100);
  assert.deepEqual([...part.x], [10_000, 11_000, 12_000, 13_000, 14_000]);
  assert.equal(part.min, undefined);
  // Neighbours are seen, and do not count.
  assert.deepEqual([part.summary.mean, part.summary.peak, part.summary.peakAt, part.summary.last], [12, 13, 13_000, 13]);
});

test('a long one is thinned to buckets that keep lows and highs', () => {
  const part = cut(line((at) => (at === 37 ? 1000 : at === 61 ? NaN : 1)), 0, 99_000, 10);
  assert.equal(part.x.length, 10);
  assert.equal(Math.max(...part.max!), 1000);
  assert.equal(part.mean[6], 1);
  // All of it is what the rows came to.
  assert.deepEqual(part.summary, line(() => 0).summary);
});

test('all of it is all of it, also where times were rounded and the ends of the run were not', () => {
  assert.deepEqual(cut(line((at) => at), 0.4, 98_999.6, 100).summary, line(() => 0).summary);
  assert.notDeepEqual(cut(line((at) => at), 0, 98_000, 100).summary, line(() => 0).summary);
});

test('nothing known is nothing, not zero', () => {
  assert.deepEqual(cut(line(() => NaN), 1000, 5000, 100).summary, nothing);
  assert.ok(Number.isNaN(cut(line(() => NaN), 0, 99_000, 10).max![0]!));
});

test('specs are the same question whatever they are called, and however many are shown', () => {
  const spec: Spec = { table: 'process', plus: ['a'], by: true, top: 8, label: 'x' };
  assert.equal(question(spec), question({ table: 'process', plus: ['a'], by: true, where: {}, minus: [] }));
  assert.notEqual(question(spec), question({ ...spec, by: false }));
  assert.notEqual(question(spec), question({ ...spec, where: { pid: 1 } }));
});

const row = (pid: number, name: string): ProcessRow => ({ pid, startTicks: pid * 10, parentPid: 1, name, command: `/bin/${name} --all`, user: 'u', state: null, inJob: true, cores: 9, residentBytes: 9, read: 9, written: 9, threads: 9, openFiles: 9, waiting: 9, ageSeconds: 100 });

function source(): EmbeddedSource {
  const specs: Spec[] = [{ table: 'process', plus: ['user_seconds', 'system_seconds'], by: true, top: 40 }, { table: 'cpu', plus: ['user_seconds'], label: 'user' }];
  const subject = (pid: number, values: (at: number) => number): Line => line(values, { label: `p${pid} (${pid})`, kind: 'subject', key: [pid, pid * 10] });
  const frame: Frame = {
    from: 0, to: 99_000, gaps: [{ from: 1, to: 2, why: 'suspended' }],
    lines: [subject(1, () => 3), subject(2, (at) => (at < 50 ? 2 : NaN)), subject(3, () => 1), line(() => 0.5, { kind: 'others', label: 'others' }), line(() => 7, { spec: 1, label: 'user' })],
  };
  const processSpecs: Spec[] = [{ table: 'process', plus: ['resident_bytes'], by: true }, { table: 'process', plus: ['threads'], by: true }];
  const processes: Frame = { from: 0, to: 99_000, gaps: [], lines: [subject(1, () => 100), { ...subject(2, (at) => (at < 50 ? 200 : NaN)), spec: 0 }, { ...subject(1, () => 4), spec: 1 }] };
  return new EmbeddedSource({ session: {} as Session, run: { from: 0, to: 99_000 } as Run, spans: { spans: [], left_out: 0 }, events: { events: [{ key: '1', at: 5000, duration: 2000, name: 'x', detail: null, by: 'person', pid: null, attributes: null }], left_out: 0 }, specs, frame, processSpecs, processes, identities: [row(1, 'make'), row(2, 'cc')] });
}

test('those on top of a window are shown, and the rest is one line', async () => {
  const { lines, gaps } = await source().frame('', { from: 0, to: 99_000, buckets: 500, specs: [{ table: 'process', plus: ['user_seconds', 'system_seconds'], by: true, top: 2 }, { table: 'cpu', plus: ['user_seconds'], label: 'mine' }] });
  assert.deepEqual(lines.map(({ label, spec }) => [label, spec]), [['p1 (1)', 0], ['p2 (2)', 0], ['others', 0], ['mine', 1]]);
  assert.equal(lines[2]!.mean[10], 1.5);
  assert.equal(lines[2]!.summary.peak, 1.5, 'it has a peak over the whole run, too: a line without one is not drawn');
  assert.equal(gaps.length, 1);
  // Who has ended is not among them later.
  const later = await source().frame('', { from: 60_000, to: 99_000, buckets: 500, specs: [{ table: 'process', plus: ['user_seconds', 'system_seconds'], by: true, top: 2 }] });
  assert.deepEqual(later.lines.map(({ label }) => label), ['p1 (1)', 'p3 (3)', 'others']);
});

test('processes of a moment, their life, and how they are found', async () => {
  const at = await source().processes('', 20_000);
  assert.deepEqual(at.processes.map(({ pid, name, residentBytes, threads, cores, ageSeconds }) => [pid, name, residentBytes, threads, cores, ageSeconds]), [[1, 'make', 100, 4, null, 21], [2, 'cc', 200, null, null, 21]]);
  assert.deepEqual((await source().processes('', 80_000)).processes.map(({ pid }) => pid), [1]);
  assert.deepEqual((await source().findProcesses('', 'CC')).processes.map(({ pid }) => pid), [2]);
  assert.deepEqual((await source().findProcesses('', '1')).processes.map(({ pid }) => pid), [1]);
  const life = await source().life('', 2, 20);
  assert.deepEqual([life.from, life.to], [0, 49_000]);
  const memory = life.panels.find(({ id }) => id === 'process-memory')!;
  const { lines } = await source().frame('', { from: 0, to: 99_000, buckets: 500, specs: memory.specs });
  assert.deepEqual([lines.length, lines[0]!.kind, lines[0]!.mean[3]], [1, 'whole', 200]);
  await assert.rejects(source().life('', 9, 9), /knows no process 9/);
});

test('events that last are there as long as they last, and nothing can be changed', async () => {
  assert.equal((await source().events('', 6000, 9000)).events.length, 1);
  assert.equal((await source().events('', 8000, 9000)).events.length, 0);
  await assert.rejects(source().deleteEvent(), /nothing can be changed/);
});
