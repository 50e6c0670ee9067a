// Time in zones, across days whose clocks are changed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DAY, HOUR, MINUTE, SECOND, clock, dateAndClock, instant, isZone, offsetName, parseTime, resolve, ticks, wall, within, zoomed } from '../src/time.ts';

const BERLIN = 'Europe/Berlin';
const at = (text: string): number => Date.parse(text);
const labels = (from: string, to: string, zone: string, most = 12): string[] => ticks({ from: at(from), to: at(to) }, zone, most).map(({ label }) => label);

test('an instant has a name in each zone', () => {
  const time = at('2026-11-21T23:03:22.456Z');
  assert.equal(dateAndClock(time, 'UTC'), '2026-11-21 23:03:22');
  assert.equal(dateAndClock(time, BERLIN, 1), '2026-11-22 00:03:22.5');
  assert.equal(dateAndClock(time, 'Asia/Kathmandu', 3), '2026-11-22 04:48:22.456');
  assert.equal(clock(at('2026-11-21T23:59:59.96Z'), 'UTC', 1), '00:00:00.0');
  assert.equal(offsetName(time, 'America/St_Johns'), 'UTC−03:30');
  assert.equal(offsetName(at('2026-07-01T00:00:00Z'), BERLIN), 'UTC+02:00');
  assert.equal(offsetName(time, 'UTC'), 'UTC');
  assert.equal(dateAndClock(-1, 'UTC', 3), '1969-12-31 23:59:59.999');
});

test('what the wall shows leads back to the instant, on the days of changed clocks too', () => {
  for (const day of ['2026-03-29', '2026-10-25', '2026-06-01']) {
    for (let time = at(`${day}T00:00:00Z`) - 12 * HOUR; time < at(`${day}T00:00:00Z`) + 30 * HOUR; time += 7 * MINUTE) {
      const back = instant(wall(time, BERLIN), BERLIN);
      // An hour that there is twice is taken as the first.
      const again = day === '2026-10-25' && time >= at('2026-10-25T01:00:00Z') && time < at('2026-10-25T02:00:00Z');
      assert.equal(back, again ? time - HOUR : time);
    }
  }
  // 02:30 was skipped: as if clocks had not been changed.
  assert.equal(parseTime('2026-03-29 02:30', BERLIN, 0), at('2026-03-29T01:30:00Z'));
});

test('what a person types is a time', () => {
  const near = at('2026-11-21T10:00:00Z');
  assert.equal(parseTime('12:03', BERLIN, near), at('2026-11-21T11:03:00Z'));
  assert.equal(parseTime('2026-11-20 12:03:22.5', 'UTC', near), at('2026-11-20T12:03:22.5Z'));
  assert.equal(parseTime('2026-11-20', BERLIN, near), at('2026-11-19T23:00:00Z'));
  assert.equal(parseTime('2026-11-20T12:03:22Z', BERLIN, near), at('2026-11-20T12:03:22Z'));
  assert.equal(parseTime('2026-11-20 12:03:22+05:30', BERLIN, near), at('2026-11-20T06:33:22Z'));
  for (const nonsense of ['', '25:00', 'yesterday', '2026-13-01', '12:3', '12:61']) assert.equal(parseTime(nonsense, BERLIN, near), null, nonsense);
});

test('ticks stand at round times of the zone', () => {
  assert.deepEqual(labels('2026-11-21T12:00:07Z', '2026-11-21T12:00:52Z', 'UTC', 6), ['12:00:10', '12:00:20', '12:00:30', '12:00:40', '12:00:50']);
  assert.deepEqual(labels('2026-11-21T12:00:00Z', '2026-11-21T12:00:00.500Z', 'UTC', 6), ['12:00:00.000', '12:00:00.100', '12:00:00.200', '12:00:00.300', '12:00:00.400', '12:00:00.500']);
  assert.deepEqual(labels('2026-11-21T12:05:00Z', '2026-11-21T13:55:00Z', 'Asia/Kathmandu', 6), ['18:00', '18:30', '19:00', '19:30']);
  assert.deepEqual(labels('2026-11-01T00:00:00Z', '2026-11-05T00:00:00Z', 'UTC', 5), ['2026-11-01', '2026-11-02', '2026-11-03', '2026-11-04', '2026-11-05']);
});

test('the day changes at midnight of the zone', () => {
  const found = ticks({ from: at('2026-11-21T20:30:00Z'), to: at('2026-11-22T02:30:00Z') }, BERLIN, 8);
  assert.deepEqual(found.map(({ label, day }) => [label, day]), [['22:00', null], ['23:00', null], ['00:00', '2026-11-22'], ['01:00', null], ['02:00', null], ['03:00', null]]);
});

test('ticks of a day of 23 hours, and of one of 25', () => {
  // Hours of three: 00, 03 (an hour less), 06 …
  const spring = ticks({ from: at('2026-03-28T23:00:00Z'), to: at('2026-03-29T22:00:00Z') }, BERLIN, 8);
  assert.deepEqual(spring.map(({ label }) => label), ['00:00', '03:00', '06:00', '09:00', '12:00', '15:00', '18:00', '21:00', '00:00']);
  assert.deepEqual(spring.slice(1, 3).map(({ at: time }) => new Date(time).toISOString()), ['2026-03-29T01:00:00.000Z', '2026-03-29T04:00:00.000Z']);
  const autumn = labels('2026-10-24T22:30:00Z', '2026-10-25T04:30:00Z', BERLIN, 8);
  assert.deepEqual(autumn, ['01:00', '02:00', '02:00', '03:00', '04:00', '05:00']);
  const days = ticks({ from: at('2026-03-26T23:00:00Z'), to: at('2026-03-31T22:00:00Z') }, BERLIN, 6);
  assert.deepEqual(days.map(({ at: time }) => clock(time, BERLIN)), Array(6).fill('00:00:00'));
});

test('there are never many more ticks than there is room for', () => {
  for (const length of [1, 7, 90, 1500, 40 * SECOND, 11 * MINUTE, 5 * HOUR, 2 * DAY, 40 * DAY, 3000 * DAY]) {
    const from = at('2026-03-28T17:03:11Z');
    const count = ticks({ from, to: from + length }, BERLIN, 8).length;
    assert.ok(count <= 10, `${count} ticks in ${length} ms`);
  }
});

test('ranges are stretches of what there is', () => {
  const whole = { from: 0, to: HOUR };
  assert.deepEqual(resolve({ kind: 'all' }, whole), whole);
  assert.deepEqual(resolve({ kind: 'last', length: 10 * MINUTE }, whole), { from: 50 * MINUTE, to: HOUR });
  assert.deepEqual(resolve({ kind: 'last', length: 3 * HOUR }, whole), whole);
  assert.deepEqual(resolve({ kind: 'all' }, { from: 5, to: 5 }), { from: 5, to: 1005 });
  assert.deepEqual(within({ from: -5 * MINUTE, to: 5 * MINUTE }, whole), { from: 0, to: 10 * MINUTE });
  assert.deepEqual(within({ from: -HOUR, to: 3 * HOUR }, whole), whole);
});

test('zooming leaves the instant under the cursor where it is', () => {
  const whole = { from: 0, to: HOUR };
  const near = zoomed(whole, 0.5, 15 * MINUTE, whole);
  assert.deepEqual(near, { from: 7.5 * MINUTE, to: 37.5 * MINUTE });
  assert.deepEqual(zoomed(near, 4, 15 * MINUTE, whole), whole);
  assert.ok(zoomed(near, 1e-12, 15 * MINUTE, whole).to - zoomed(near, 1e-12, 15 * MINUTE, whole).from >= 20);
});

test('zones are known or not', () => {
  assert.deepEqual([isZone('Asia/Tokyo'), isZone('Mars/Base')], [true, false]);
});
