// From the lines of a frame to what is drawn.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { align, axis, extent, smooth, smoothingPoints, stacked, steady } from '../src/charts/series.ts';
import { carried, sheetFor } from '../src/charts/sheet.ts';
import type { Sheet } from '../src/charts/sheet.ts';
import { scaleFor } from '../src/numbers.ts';
import type { Stretch } from '../src/time.ts';

test('smoothing goes over samples that are known, and not over gaps', () => {
  assert.deepEqual([...smooth(Float64Array.of(1, 2, 3, NaN, 10, 20), 3)], [1.5, 2, 2.5, NaN, 15, 15]);
  assert.deepEqual([...smooth(Float64Array.of(1, 2), 1)], [1, 2]);
  assert.equal(smoothingPoints(5, 1000, [0, 1000, 2000]), 5);
  // A bucket of ten samples is smooth already.
  assert.equal(smoothingPoints(5, 1000, [0, 10_000, 20_000]), 1);
});

test('lines of different times come to lie on common ones', () => {
  const shared = Float64Array.of(1, 2, 3);
  assert.deepEqual(align([{ x: shared, offset: 10, values: [4, NaN, 6] }, { x: shared, offset: 10, values: [7, 8, 9] }]), { x: [11, 12, 13], columns: [[4, null, 6], [7, 8, 9]] });
  assert.deepEqual(align([{ x: [1, 3], offset: 0, values: [4, 5] }, { x: [2, 3], offset: 0, values: [6, NaN] }]), { x: [1, 2, 3], columns: [[4, undefined, 5], [undefined, 6, null]] });
  assert.deepEqual(align([{ x: shared, offset: 0, values: [1, 2, 3] }, { x: shared, offset: 1, values: [4, 5, 6] }]).x, [1, 2, 3, 4]);
  assert.deepEqual(align([]), { x: [], columns: [] });
});

test('stacks: who is not there counts as nothing, and nobody is a gap', () => {
  assert.deepEqual(stacked([[1, null, null, 2], [10, 20, null, undefined]]), [[1, 0, null, 2], [11, 20, null, 2]]);
});

test('axes begin at zero, and end at a round number', () => {
  const cores = axis([0.2, 3.4], scaleFor('cores', 3.4), 'cores', 4);
  assert.deepEqual([cores.low, cores.ticks], [0, [0, 1, 2, 3]]);
  assert.ok(cores.high > 3.4 && cores.high < 3.6);
  assert.equal(axis([0, 3.9], scaleFor('cores', 3.9), 'cores', 4).high, 4);
  assert.equal(axis([0, 0.83], scaleFor('ratio', 0.83), 'ratio', 4).high, 1);
  assert.equal(axis([0, 0], scaleFor('bytes', 0), 'bytes', 4).low, 0);
  assert.ok(axis([0, 0], scaleFor('bytes', 0), 'bytes', 4).high > 0);
  assert.ok(axis([-3, 5], scaleFor('number', 5), 'number', 4).low <= -3);
  const far = axis([300.1, 300.9], scaleFor('number', 300.9), 'number', 4);
  assert.ok(far.low > 299 && far.high < 302);
});

test('extent is that of what is seen, neighbours included', () => {
  assert.deepEqual(extent([1, 2, 3, 4], [9, 5, null, 7], { from: 2.5, to: 3.5 }), [5, 7]);
  assert.equal(extent([1, 2], [null, NaN], { from: 0, to: 9 }), null);
});

test('a live axis is steady', () => {
  assert.deepEqual([steady(null, 3, true), steady(4, 3, true), steady(4, 5, true), steady(4, 1, true), steady(4, 3, false)], [3, 4, 5, 1, 3]);
});

test('a sheet of one stretch lies in another where its times are, also where it is wider than the surface', () => {
  const place = (at: number, of: { from: number; to: number }): number => (at - of.from) / (of.to - of.from);
  const cases: [Sheet, Stretch][] = [[{ from: 0, to: 10, over: 0 }, { from: 2, to: 12 }], [{ from: 0, to: 10, over: 0 }, { from: 4, to: 6 }], [{ from: 0, to: 20, over: 0.5 }, { from: 3, to: 13 }], [{ from: 5, to: 6, over: 0 }, { from: 0, to: 100 }]];
  for (const [laid, now] of cases) {
    const { by, scale } = carried(laid, now);
    // A sheet is as many times as wide as the surface as it reaches beyond it.
    for (const at of [1, 5.5, 9]) assert.ok(Math.abs(by + scale * (1 + 2 * laid.over) * place(at, laid) - place(at, now)) < 1e-9);
  }
});

test('while one pans a sheet is kept as long as it reaches, and at rest it is of just what is looked at', () => {
  const rest = sheetFor({ from: 100, to: 200 }, false, null);
  assert.deepEqual(rest, { from: 100, to: 200, over: 0 });
  assert.equal(sheetFor({ from: 100, to: 200 }, false, rest), rest);
  const first = sheetFor({ from: 101, to: 201 }, true, rest);
  assert.deepEqual(first, { from: 51, to: 251, over: 0.5 });
  for (const from of [101, 61, 141]) assert.equal(sheetFor({ from, to: from + 100 }, true, first), first);
  // Too near to its end, or of another length: another one.
  assert.deepEqual(sheetFor({ from: 142, to: 242 }, true, first), { from: 92, to: 292, over: 0.5 });
  assert.deepEqual(sheetFor({ from: 100, to: 150 }, true, first), { from: 75, to: 175, over: 0.5 });
  assert.deepEqual(sheetFor({ from: 142, to: 242 }, false, first), { from: 142, to: 242, over: 0 });
});
