// Settings as they are typed, and several runs on one axis.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Settings } from '../src/api.ts';
import { changes, commandLine, DEFAULTS, read, readDuration, showDuration, typed } from '../src/control/settings.ts';
import { commonSpans, offsets, relative, titles, together } from '../src/runs/align.ts';

const settings: Settings = { path: null, intervalSeconds: 1, writeIntervalSeconds: 10, processes: 'all', pids: [], without: [] };

test('durations are read and shown as on the command line', () => {
  assert.deepEqual(['100ms', '1s', '5m', '2', '1.5 s', 'soon', '-1s', ''].map(readDuration), [0.1, 1, 300, 2, 1.5, null, null, null]);
  assert.deepEqual([0.1, 1, 300, 90, 7200].map(showDuration), ['100ms', '1s', '5m', '90s', '2h']);
});

test('settings survive being typed', () => {
  assert.deepEqual(read(DEFAULTS).settings, settings);
  const all: Settings = { path: 'a b', intervalSeconds: 0.25, writeIntervalSeconds: 60, processes: 'top:7', pids: [12, 34], without: ['disk'] };
  assert.deepEqual(read(typed(all)).settings, all);
});

test('what is wrong is said field by field', () => {
  const { wrong } = read({ ...DEFAULTS, interval: 'often', writeInterval: '0', processes: 'top', top: '0', pids: '12 x' });
  assert.deepEqual(Object.keys(wrong!).sort(), ['interval', 'pids', 'top', 'writeInterval']);
});

test('the command line says the same', () => {
  assert.equal(commandLine(settings), 'barograph record');
  assert.equal(commandLine({ ...settings, path: "it's", intervalSeconds: 0.1, processes: 'top:5' }), `barograph record -o 'it'\\''s' -i 100ms --processes top:5`);
  assert.equal(commandLine({ ...settings, pids: [7], processes: 'tree' }), 'barograph attach 7');
  assert.equal(commandLine({ ...settings, pids: [7] }), 'barograph attach 7 --processes all');
  const chosen = read({ ...typed(settings), pids: '7' }).settings;
  assert.equal(chosen && commandLine(chosen), 'barograph attach 7');
});

test('only what changed is sent', () => {
  assert.deepEqual(changes(settings, { ...settings, intervalSeconds: 2, without: [] }), { intervalSeconds: 2 });
  assert.deepEqual(changes({ ...settings, without: ['a', 'b'] }, { ...settings, without: ['b', 'a'] }), {});
});

const runs = [{ id: 'a', from: 1000, to: 2000, spans: [{ name: 'load', from: 1100 }, { name: 'train', from: 1200 }] }, { id: 'b', from: 9000, to: 9500, spans: [{ name: 'train', from: 9400 }, { name: 'train', from: 9300 }] }, { id: 'c', from: 0, to: 10 }];

test('runs are aligned by start, by clock, and by a span that they share', () => {
  assert.deepEqual(offsets(runs, { by: 'clock' }), [0, 0, 0]);
  assert.deepEqual(offsets(runs, { by: 'start' }), [0, -8000, 1000]);
  assert.deepEqual(offsets(runs, { by: 'span', name: 'train' }), [0, -8100, null]);
  assert.deepEqual(together(runs, offsets(runs, { by: 'start' })), { from: 1000, to: 2000 });
  assert.deepEqual(together(runs, offsets(runs, { by: 'span', name: 'train' })), { from: 900, to: 2000 });
  assert.deepEqual(commonSpans(runs.slice(0, 2)), ['train']);
});

test('runs of one name can be told apart, and a share of nothing is none', () => {
  assert.deepEqual(titles(['x.baro', 'y.csv', 'x.baro']), ['x (1)', 'y', 'x (2)']);
  assert.deepEqual([relative(10, 15), relative(0, 1), relative(null, 1)], [0.5, null, null]);
});
