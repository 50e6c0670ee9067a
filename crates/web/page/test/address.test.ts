// What the page shows stands in its address, and comes back from it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choice, chosen, list, moment, number, oneOf, process, range, readAddress, stretch, usual, writeAddress } from '../src/address.ts';

test('parts come back as they were', () => {
  const parts: [string, string][] = [['run', 'a,b c'], ['range', '2026-11-21T12:00:00Z..2026-11-21T12:10:00Z'], ['zone', 'America/Argentina/Buenos_Aires'], ['find', '100 % & more=#+ü']];
  const text = writeAddress(parts);
  assert.match(text, /^#run=a,b%20c&range=2026-11-21T12:00:00Z\.\.2026-11-21T12:10:00Z&zone=America\/Argentina\/Buenos_Aires&find=/);
  assert.deepEqual([...readAddress(text)], parts);
  assert.equal(writeAddress([]), '');
});

test('nonsense in the address is passed over', () => {
  assert.deepEqual([...readAddress('#&=x&a&b=%E0%A4%A&c=1')], [['c', '1']]);
  assert.equal(range.read('5 parsecs'), null);
  assert.equal(range.read('2026-11-21T12:00:00Z..2026-11-21T11:00:00Z'), null);
  assert.equal(range.read('0m'), null);
  assert.equal(moment.read('noon'), null);
  assert.equal(process.read('12'), null);
  assert.equal(number(1, 10).read('11'), null);
  assert.equal(number(1, 10).read(''), null);
  assert.equal(oneOf('light', 'dark').read('pink'), null);
});

test('ranges are written as a person would', () => {
  for (const text of ['all', '10m', '30m', '1h', '3h', '45s', '2d', '2026-11-21T12:00:00Z..2026-11-21T12:10:00.250Z']) assert.equal(range.write(range.read(text)!), text);
  assert.deepEqual(range.read('90m'), { kind: 'last', length: 5_400_000 });
  assert.deepEqual(stretch.read('1000..2000'), { from: 1000, to: 2000 });
});

test('moments come back to the last digit that a number has', () => {
  assert.equal(stretch.write({ from: 1000.2, to: 1999.9 }), '1970-01-01T00:00:01.0002Z..1970-01-01T00:00:01.9999Z');
  assert.equal(moment.write(1999.99999), '1970-01-01T00:00:02Z');
  assert.equal(moment.read('2026-11-21T12:00:00.2504+09:00'), moment.read('2026-11-21T03:00:00.2504Z'));
  for (const fine of [0, 0.25, 0.5, 1 / 3, 0.9999, 3.14159]) {
    const time = Date.UTC(2026, 10, 21) + fine;
    assert.equal(moment.read(moment.write(time)), time);
  }
});

test('words with commas survive in lists', () => {
  const words = ['a,b', '50%', '%2C', ''];
  assert.deepEqual(list.read(list.write(words)), ['a,b', '50%', '%2C']);
  assert.deepEqual(choice.read(choice.write({ shown: ['b', 'a'], hidden: ['c'] })), { shown: ['b', 'a'], hidden: ['c'] });
});

test('panels are those chosen, in that order, and those that came later', () => {
  const panels = [{ id: 'cpu', shown: true }, { id: 'memory', shown: true }, { id: 'disk', shown: true }, { id: 'load', shown: false }];
  const ids = (of: ReturnType<typeof choice.read>): string[] => chosen(panels, of).map(({ id }) => id);
  assert.deepEqual(ids(null), ['cpu', 'memory', 'disk']);
  assert.deepEqual(ids({ shown: ['load', 'cpu', 'gone', 'load'], hidden: ['memory'] }), ['load', 'cpu', 'disk']);
});

test('of a file of unknown things the first are shown', () => {
  const panel = (id: number, shown: boolean): { id: number; shown: boolean } => ({ id, shown });
  const known = [panel(0, false), panel(1, true)];
  assert.equal(usual(known), known);
  assert.deepEqual(usual(Array.from({ length: 10 }, (_, id) => panel(id, false))).filter(({ shown }) => shown).map(({ id }) => id), [0, 1, 2, 3, 4, 5, 6, 7]);
});
