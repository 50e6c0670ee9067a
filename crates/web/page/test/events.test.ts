// Lanes of spans, flags of events, CSV, what is kept in the browser, and watch points.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event, Frame, Span } from '../src/api.ts';
import { readEvents, readNumber, writeEvents } from '../src/events/csv.ts';
import { add, apply, load, NOTHING, remove, revise, save } from '../src/events/kept.ts';
import { due, flags, laneTitle, neighbour, slices, stack } from '../src/events/stack.ts';
import { condition, crossings, raise, readLevel, type Rule } from '../src/events/watch.ts';

function span(id: string, from: number, to: number | null, more: Partial<Span> = {}): Span {
  return { id, parent: null, name: id, status: to === null ? 'open' : 'ok', detail: null, attributes: null, depth: 0, pid: 7, thread: 7, from, to, cost: {}, ...more };
}

function event(key: string, at: number, more: Partial<Event> = {}): Event {
  return { key, at, duration: null, name: key, detail: null, by: 'program', pid: null, attributes: null, ...more };
}

test('spans nest below their parents, and threads have lanes of their own', () => {
  const lanes = stack([span('a', 0, 100), span('b', 0, 50, { parent: 'a', depth: 1 }), span('c', 50, 90, { parent: 'a', depth: 1 }), span('d', 10, null, { thread: 8 })], 200);
  assert.deepEqual(lanes.map((lane) => lane.rows.map((row) => row.map((each) => each.span.id))), [[['a'], ['b', 'c']], [['d']]]);
  assert.equal(lanes[1]!.rows[0]![0]!.to, 200);
  assert.deepEqual(lanes.map((lane) => laneTitle(lane, lanes).brief), ['main', '8']);
  assert.equal(laneTitle(lanes[1]!, lanes).full, 'process 7, thread 8');
});

test('tasks of one thread that overlap stand in rows of their own, never on top of each other', () => {
  const [lane] = stack([span('a', 0, 60), span('b', 10, 80), span('c', 20, 30, { parent: 'b' }), span('d', 61, 70), span('e', 61, 61), span('f', 61, 61)], 100);
  for (const row of lane!.rows) for (let at = 1; at < row.length; at += 1) assert.ok(row[at - 1]!.to <= row[at]!.from);
  const rowOf = (id: string): number => lane!.rows.findIndex((row) => row.some((each) => each.span.id === id));
  assert.ok(rowOf('c') > rowOf('b'));
  assert.notEqual(rowOf('e'), rowOf('f'), 'two of no length at one moment');
});

test('slices too short to tell apart are one, and none is lost', () => {
  const row = Array.from({ length: 1000 }, (_, at) => ({ span: span(`s${at}`, at, at + 1), from: at, to: at + 1 }));
  const drawn = slices(row, 0, 1000, 100);
  assert.ok(drawn.length <= 2);
  assert.equal(drawn.flatMap((each) => each.spans).length, 1000);
  const zoomed = slices(row, 100, 110, 100);
  assert.deepEqual(zoomed.filter((each) => each.width >= 3).map((each) => Math.round(each.width)), Array(10).fill(10));
});

test('a slice that goes on beyond the window is cut there and says so', () => {
  const [slice] = slices([{ span: span('a', 0, 100), from: 0, to: 100 }], 25, 75, 200);
  assert.deepEqual([slice!.x, slice!.width, slice!.cutLeft, slice!.cutRight], [0, 200, true, true]);
});

test('flags that would cover each other are one', () => {
  const drawn = flags([event('b', 101), event('a', 100), event('c', 500), event('d', 2000)], 0, 1000, 1000);
  assert.deepEqual(drawn.map((flag) => [flag.x, flag.events.map((each) => each.key)]), [[100, ['a', 'b']], [500, ['c']]]);
});

test('the next and the previous event are those nearest in time', () => {
  const events = [event('a', 10), event('b', 20), event('c', 30)];
  assert.equal(neighbour(events, 20, 1)?.key, 'c');
  assert.equal(neighbour(events, 20, -1)?.key, 'a');
  assert.equal(neighbour(events, 30, 1), null);
});

const parse = (text: string): number | null => (/^\d{4}-/.test(text) ? Date.parse(text) : null);

test('CSV is read with and without a header, quoted, in any order of columns, and what makes no sense is refused by its line', () => {
  const plain = readEvents('start,2026-01-01T00:00:00Z\n"a ""b"", c",1767225601\nno time,soon\n,5\n\nlonely\n', parse);
  assert.deepEqual(plain.events.map((each) => [each.name, each.at]), [['start', 1767225600000], ['a "b", c', 1767225601000]]);
  assert.deepEqual(plain.refused, [{ line: 3, why: '“soon” is no time' }, { line: 4, why: 'the event has no name' }, { line: 6, why: 'there is no second column' }]);
  const headed = readEvents('\uFEFFTimestamp,Event,rate\r\n1767225600000,"two\nlines",0.1\r\n', parse);
  assert.deepEqual(headed.events, [{ name: 'two\nlines', at: 1767225600000, attributes: { rate: '0.1' } }]);
  assert.deepEqual(readEvents('event,timestamp\n"open,1\n', parse).refused, [{ line: 2, why: 'a quotation mark is not closed' }]);
});

test('numbers since 1970 are seconds to nanoseconds, as their size tells', () => {
  for (const text of ['1767225600', '1767225600000', '1767225600000000', '1767225600000000000']) assert.equal(readNumber(text), 1767225600000);
  assert.equal(readNumber('1767225600.5'), 1767225600500);
  assert.equal(readNumber('12:30'), null);
});

test('what is written is read again as it was', () => {
  const events = [event('later, "quoted"', 2000), event('earlier', 1000.5), event('line\nbreak', 3000)];
  const again = readEvents(writeEvents(events), parse);
  assert.deepEqual(again.refused, []);
  assert.deepEqual(again.events.map((each) => each.name), ['earlier', 'later, "quoted"', 'line\nbreak']);
  assert.match(writeEvents([event('=1+1', 0)]), /'=1\+1/);
});

test('events kept in the browser lie on top of the recording, and come back', () => {
  const things = new Map<string, string>();
  const shelf = { getItem: (key: string) => things.get(key) ?? null, setItem: (key: string, value: string) => void things.set(key, value), removeItem: (key: string) => void things.delete(key) };
  const draft = { at: 15, name: 'mine', detail: null, duration: null };
  let count = 0;
  let kept = add(NOTHING, [draft], () => String((count += 1)));
  kept = revise(kept, event('b', 20), { ...draft, at: 5, name: 'moved' });
  kept = remove(kept, 'c');
  const recorded = [event('a', 10), event('b', 20), event('c', 30)];
  assert.deepEqual(apply(recorded, kept).map((each) => [each.name, each.at]), [['moved', 5], ['a', 10], ['mine', 15]]);
  assert.ok(save(shelf, 'run', kept));
  assert.deepEqual(load(shelf, 'run'), kept);
  assert.deepEqual(load(shelf, 'another'), NOTHING);
  kept = remove(revise(kept, kept.added[0]!, { ...draft, name: 'mine too' }), 'kept:1');
  assert.equal(kept.added.length, 0);
  things.set('barograph.events.broken', '{"added":3}');
  assert.deepEqual(load(shelf, 'broken'), NOTHING);
  assert.equal(save({ ...shelf, setItem: () => { throw new Error('full'); } }, 'run', kept), false);
});

const rule: Rule = { id: 'r', metric: 'memory', unit: 'bytes', spec: { table: 'job', plus: ['resident_bytes'] }, above: true, level: 5, seconds: 1, on: true };

test('a watch point is raised by what lasts long enough, and nothing is known in a gap', () => {
  const x = Float64Array.from([0, 500, 1000, 1500, 2000, 2500, 3000, 3500, 4000]);
  const mean = Float64Array.from([6, 9, 7, 1, 6, Number.NaN, 6, 6, 8]);
  assert.deepEqual(crossings({ x, mean }, rule), [{ from: 0, to: 1500, worst: 9 }, { from: 3000, to: null, worst: 8 }]);
  assert.deepEqual(crossings({ x, mean }, { ...rule, above: false, seconds: 0 }), [{ from: 1500, to: 2000, worst: 1 }]);
  const max = Float64Array.from(mean, (value) => value + 4.5);
  assert.equal(crossings({ x, mean, max }, rule)[0]!.to, 2000, 'the highest of a bucket counts');
});

test('spans of what is followed are asked for when there may be something to see', () => {
  // Half an hour on 900 pixels: a pixel is two seconds.
  const half = 1_800_000;
  const asked = (width: number, count: number, length: number): number => new Set(Array.from({ length: 60 }, (_, second) => due({ from: 1e12 + second * 1000, to: 1e12 + length + second * 1000 }, width, count))).size;
  assert.ok(asked(900, 10, half) <= 60 / 4 * 2 + 1, 'both ends move');
  assert.ok(asked(900, 2500, 60_000) <= 60 / 5 * 2 + 1, 'answers are long');
  assert.equal(asked(900, 10, 60_000), 60);
  // Of a run that is seen from its begin to its end steps don't change with each second.
  const grown = new Set(Array.from({ length: 600 }, (_, second) => due({ from: 1e12, to: 1e12 + half + second * 1000 }, 900, 10)));
  assert.ok(grown.size <= 600 / 4 + 2, `${grown.size} times in ten minutes`);
});

test('its events say what and how much', () => {
  const frame: Frame = { from: 0, to: 9, gaps: [], lines: [{ spec: 0, label: 'job', kind: 'whole', key: [], unit: 'bytes', summary: { mean: null, p95: null, peak: null, peakAt: null, total: null, last: null }, x: Float64Array.from([0, 1000, 2000]), mean: Float64Array.from([6, 7, 1]) }] };
  const [raised] = raise(rule, frame, (value) => `${value} B`);
  assert.deepEqual([raised!.name, raised!.detail, raised!.at, raised!.duration, raised!.by], ['memory above 5 B', 'at most 7 B', 0, 2000, 'rule']);
});

test('levels are read as people type them', () => {
  assert.deepEqual(['12 GB', '1.5', '80 %', '4 GiB', '2k', 'much', '3 MB/s'].map(readLevel), [12e9, 1.5, 0.8, 4 * 2 ** 30, 2000, null, 3e6]);
});

test('a rule is told to the recorder in its words, where it can look at that', () => {
  const rule = { spec: { table: 'memory', plus: ['available_bytes'] }, unit: 'bytes' as const, above: false, level: 1.5 * 2 ** 30, seconds: 10 };
  assert.equal(condition(rule), 'memory.available_bytes < 1.5 GiB for 10 s');
  assert.equal(condition({ ...rule, level: 12_345, above: true, seconds: 0 }), 'memory.available_bytes > 12345');
  assert.equal(condition({ ...rule, spec: { table: 'disk', plus: ['read_bytes'], where: { device: 'vda' } }, unit: 'bytes_per_second', level: 2e7 }), 'disk.read_bytes[vda] < 20 MB for 10 s');
  assert.equal(condition({ ...rule, spec: { table: 'job', plus: ['user_seconds', 'system_seconds'] }, unit: 'cores', level: 1.5 }), 'cpu < 1.5 for 10 s');
  for (const spec of [{ table: 'process', plus: ['resident_bytes'], by: true }, { table: 'memory', plus: ['total_bytes'], minus: ['available_bytes'] }, { table: 'a', plus: ['b', 'c'] }]) assert.equal(condition({ ...rule, spec }), null);
});
