// Numbers as people read them; the same as `barograph report` says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { amount, axisTicks, bare, duration, inScale, number, plural, scaleFor, stopwatch, totalUnit } from '../src/numbers.ts';

test('bytes have three digits and never 1024 of a unit', () => {
  const said = [0, 1, 1023, 1023.7, 1024, 1_342_177_280, 12.34 * 2 ** 20, 1023.6 * 1024, 9e18].map((value) => amount(value, 'bytes'));
  assert.deepEqual(said, ['0 B', '1 B', '1023 B', '1.00 KiB', '1.00 KiB', '1.25 GiB', '12.3 MiB', '1.00 MiB', '7.81 EiB']);
  assert.equal(amount(-3 * 2 ** 20, 'bytes_per_second'), '−3.00 MiB/s');
});

test('small numbers are not nothing, and absence is not zero', () => {
  assert.deepEqual([0, 0.0001, 0.0123, 0.5, 1, 64, 999.6, 12345.6, -0.0001, -2].map(number), ['0', '< 0.001', '0.012', '0.50', '1.00', '64.0', '1000', '12\u202f346', '> −0.001', '−2.00']);
  assert.deepEqual([null, undefined, NaN].map((value) => amount(value, 'cores')), ['–', '–', '–']);
  assert.equal(amount(0, 'cores'), '0 cores');
});

test('units', () => {
  assert.equal(amount(1, 'cores'), '1.00 core');
  assert.equal(amount(0.1234, 'ratio'), '12.3 %');
  assert.equal(amount(2.4e9, 'hertz'), '2.40 GHz');
  assert.equal(amount(12345, 'count'), '12\u202f345');
  assert.equal(amount(12.5, 'per_second'), '12.5/s');
  assert.equal(amount(1.5e-7, 'number'), '1.50e−7');
  assert.equal(amount(0.00042, 'seconds'), '420 µs');
  assert.equal(totalUnit('cores'), 'seconds');
  assert.equal(totalUnit('bytes_per_second'), 'bytes');
});

test('a column has one scale', () => {
  const scale = scaleFor('bytes', 5 * 2 ** 30);
  assert.deepEqual(scale, { factor: 2 ** 30, unit: 'GiB' });
  assert.deepEqual([5 * 2 ** 30, 10 * 2 ** 20, 0, null].map((value) => inScale(value, scale)), ['5.00', '0.010', '0', '–']);
});

test('times carry to the next unit', () => {
  const said = [0, 4.2e-5, 0.85, 0.9999, 12.34, 59.97, 60, 192, 3599.6, 3720, 86_399, 183_600, -2.5].map(duration);
  assert.deepEqual(said, ['0 s', '42.0 µs', '850 ms', '1.00 s', '12.3 s', '1 min 00 s', '1 min 00 s', '3 min 12 s', '1 h 00 min', '1 h 02 min', '1 d 00 h', '2 d 03 h', '−2.50 s']);
  assert.deepEqual([0, 751, 90_061].map(stopwatch), ['00:00:00', '00:12:31', '1 d 01:01:01']);
});

test('what was set has no needless zeros', () => {
  assert.deepEqual(['16.0 GiB', '2.50 cores', '100', '1.00'].map(bare), ['16 GiB', '2.5 cores', '100', '1']);
  assert.deepEqual([plural(1, 'core', 'cores'), plural(8, 'core', 'cores'), plural(1.5, 'core', 'cores')], ['1 core', '8 cores', '1.5 cores']);
});

test('axes have round numbers, of two for bytes, and reach the highest value', () => {
  const gib = 2 ** 30;
  assert.deepEqual(axisTicks(0, 15.2 * gib, 4, scaleFor('bytes', 15.2 * gib)).map((value) => value / gib), [0, 4, 8, 12, 16]);
  assert.deepEqual(axisTicks(0, 3.4, 4, scaleFor('cores', 3.4)), [0, 1, 2, 3, 4]);
  assert.deepEqual(axisTicks(0, 0.97, 4, scaleFor('ratio', 0.97)).map((value) => Math.round(value * 100)), [0, 25, 50, 75, 100]);
  assert.deepEqual(axisTicks(0, 0, 4, scaleFor('cores', 0)), [0]);
});
