// From the lines of a frame to what is drawn.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { align, axis, extent, smooth, smoothingPoints, stacked, steady } from '../src/charts/series.ts';
import { carried } from '../src/charts/pace.ts';
import { scaleFor } from '../src/numbers.ts';

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

test('a picture of one stretch lies in another where its times are', () => {
  const place = (at: number, of: { from: number; to: number }): number => (at - of.from) / (of.to - of.from);
  for (const [drawn, now] of [[{ from: 0, to: 10 }, { from: 2, to: 12 }], [{ from: 0, to: 10 }, { from: 4, to: 6 }], [{ from: 5, to: 6 }, { from: 0, to: 100 }]] as const) {
    const { by, scale } = carried(drawn, now);
    for (const at of [1, 5.5, 9]) assert.ok(Math.abs(by + scale * place(at, drawn) - place(at, now)) < 1e-9);
  }
});
