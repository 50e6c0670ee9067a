// Frames as bytes, and how a column is searched.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeFrame, lastAtOrBefore, nearest } from '../src/frame.ts';

/** A frame as a server writes it. */
function frame(header: unknown, numbers: number[]): ArrayBuffer {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const base = Math.ceil((8 + text.length) / 8) * 8;
  const bytes = new ArrayBuffer(base + numbers.length * 8);
  const view = new DataView(bytes);
  new Uint8Array(bytes).set(new TextEncoder().encode('BFR1'));
  view.setUint32(4, text.length, true);
  new Uint8Array(bytes).set(text, 8);
  numbers.forEach((number, place) => view.setFloat64(base + place * 8, number, true));
  return bytes;
}

const summary = { mean: 1, p95: null, peak: 2, peakAt: 10, total: null, last: 2 };
const whole = { spec: 0, kind: 'whole', unit: 'cores', summary };

test('columns are views into the bytes, and times that are shared are one array', () => {
  const bytes = frame(
    {
      from: 0, to: 30, gaps: [{ from: 5, to: 8, why: 'suspended' }],
      lines: [
        { ...whole, label: 'user', x: [0, 3], mean: [3, 3] },
        { ...whole, label: 'ü', kind: 'subject', key: ['sda', 7], x: [0, 3], mean: [6, 3], min: [9, 3], max: [12, 3] },
      ],
    },
    [10, 20, 30, 1, NaN, 3, 4, 5, 6, 3, 4, 5, 5, 6, 7],
  );
  const { lines, gaps, from, to } = decodeFrame(bytes);
  assert.deepEqual([from, to, gaps], [0, 30, [{ from: 5, to: 8, why: 'suspended' }]]);
  assert.deepEqual([...lines[0]!.mean], [1, NaN, 3]);
  assert.equal(lines[0]!.min, undefined);
  assert.deepEqual(lines[0]!.key, []);
  assert.equal(lines[1]!.label, 'ü');
  assert.deepEqual(lines[1]!.key, ['sda', 7]);
  assert.deepEqual([...lines[1]!.max!], [5, 6, 7]);
  assert.equal(lines[0]!.x, lines[1]!.x);
  assert.equal(lines[1]!.mean.buffer, bytes);
});

test('empty columns of lows and highs are absent, and a frame may have no lines', () => {
  const { lines } = decodeFrame(frame({ from: 0, to: 1, gaps: [], lines: [{ ...whole, label: 'a', x: [0, 1], mean: [1, 1], min: [2, 0], max: [2, 0] }] }, [1, 2]));
  assert.equal(lines[0]!.min, undefined);
  assert.deepEqual(decodeFrame(frame({ from: 0, to: 1, lines: [] }, [])), { from: 0, to: 1, lines: [], gaps: [] });
});

test('what is no frame, or was cut off, is refused', () => {
  assert.throws(() => decodeFrame(new ArrayBuffer(3)), /too short/);
  assert.throws(() => decodeFrame(new TextEncoder().encode('{"error": "no such run"}').buffer), /no frame/);
  const bytes = frame({ from: 0, to: 1, gaps: [], lines: [{ ...whole, label: 'a', x: [0, 2], mean: [2, 2] }] }, [1, 2, 3, 4]);
  assert.throws(() => decodeFrame(bytes.slice(0, bytes.byteLength - 8)), /cut off/);
  assert.throws(() => decodeFrame(bytes.slice(0, 20)), /cut off/);
});

test('columns are searched', () => {
  const times = [10, 20, 30];
  assert.deepEqual([5, 10, 19, 30, 99].map((at) => lastAtOrBefore(times, at)), [-1, 0, 0, 2, 2]);
  assert.deepEqual([5, 14, 16, 99].map((at) => nearest(times, at)), [0, 0, 1, 2]);
  assert.equal(nearest([], 5), -1);
});
