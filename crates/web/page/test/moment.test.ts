// The process table, its tree, its graph and what differs between two moments.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProcessRow } from '../src/api.ts';
import { compare, counts } from '../src/moment/difference.ts';
import { layout } from '../src/moment/layout.ts';
import { forest, identity, matches, step, table, total, tree, type Question } from '../src/moment/rows.ts';

function row(pid: number, parentPid: number | null, more: Partial<ProcessRow> = {}): ProcessRow {
  return { pid, startTicks: pid * 10, parentPid, name: `p${pid}`, command: null, user: null, state: 'S', inJob: true, cores: null, residentBytes: null, read: null, written: null, threads: 1, openFiles: null, waiting: null, ageSeconds: null, ...more };
}

const ask = (more: Partial<Question> = {}): Question => ({ sort: { column: 'pid', descending: false }, find: '', folded: new Set(), ...more });
const pids = (shown: { row: ProcessRow }[]): number[] => shown.map((each) => each.row.pid);

const FAMILY = [row(1, null, { cores: 0.1, residentBytes: 10 }), row(2, 1, { cores: 2, residentBytes: 5 }), row(3, 1, { cores: null, residentBytes: 50, name: 'python', command: 'python3 train.py' }), row(4, 3, { cores: 1, residentBytes: 1, threads: 8 })];

test('a table is sorted by any column, what is not known last either way', () => {
  assert.deepEqual(pids(table(FAMILY, ask({ sort: { column: 'cores', descending: true } }))), [2, 4, 1, 3]);
  assert.deepEqual(pids(table(FAMILY, ask({ sort: { column: 'cores', descending: false } }))), [1, 4, 2, 3]);
  assert.deepEqual(pids(table(FAMILY, ask({ sort: { column: 'process', descending: true } }))), [3, 4, 2, 1]);
});

test('a tree keeps children below their parent, whatever it is sorted by', () => {
  const shown = tree(FAMILY, ask({ sort: { column: 'cores', descending: true } }));
  assert.deepEqual(pids(shown), [1, 2, 3, 4]);
  assert.deepEqual(shown.map((each) => each.level), [1, 2, 2, 3]);
  assert.deepEqual(shown.map((each) => each.open), [true, null, true, null]);
  assert.deepEqual(shown.map((each) => [each.position, each.siblings]), [[1, 1], [1, 2], [2, 2], [1, 1]]);
});

test('what is folded hides what is below it, and tells how many those are', () => {
  const shown = tree(FAMILY, ask({ folded: new Set([identity(FAMILY[2]!)]) }));
  assert.deepEqual(pids(shown), [1, 2, 3]);
  assert.deepEqual([shown[2]!.open, shown[2]!.descendants], [false, 1]);
});

test('sums of a subtree leave out what is not known, and are unknown only if all of it is', () => {
  const [root] = forest(FAMILY);
  assert.deepEqual(root!.sums, { cores: 3.1, resident: 66, read: null, written: null, threads: 11 });
  assert.equal(root!.children[1]!.sums.cores, 1);
  assert.deepEqual(total(FAMILY), root!.sums);
  assert.deepEqual(pids(tree(FAMILY, ask({ sort: { column: 'cores', descending: false } }))), [1, 3, 4, 2], 'a branch stands where all of it belongs');
});

test('finding keeps the ancestors of what is found, dimmed, and opens what was folded', () => {
  const shown = tree(FAMILY, ask({ find: '4', folded: new Set(FAMILY.map(identity)) }));
  assert.deepEqual(pids(shown), [1, 3, 4]);
  assert.deepEqual(shown.map((each) => each.dimmed), [true, true, false]);
  assert.deepEqual(pids(table(FAMILY, ask({ find: 'PYTHON train' }))), [3]);
  assert.ok(!matches(row(41, null, { name: null }), '4'), 'a pid is found as a whole');
});

test('rows that name each other as parents, or themselves, are shown all the same', () => {
  const ring = [row(1, 2), row(2, 1), row(3, 3)];
  assert.deepEqual(pids(tree(ring, ask())).sort(), [1, 2, 3]);
});

test('a chain of 20,000 processes needs no stack', () => {
  const chain = Array.from({ length: 20_000 }, (_, at) => row(at + 1, at === 0 ? null : at));
  assert.equal(tree(chain, ask()).length, 20_000);
});

test('keys walk the grid as ARIA has it', () => {
  const shown = tree(FAMILY, ask());
  assert.deepEqual(step(shown, 0, 'ArrowDown', 10), { select: 1 });
  assert.deepEqual(step(shown, 3, 'ArrowDown', 10), { select: 3 });
  assert.deepEqual(step(shown, 3, 'ArrowLeft', 10), { select: 2 });
  assert.deepEqual(step(shown, 2, 'ArrowLeft', 10), { fold: shown[2]!.id });
  assert.deepEqual(step(tree(FAMILY, ask({ folded: new Set([shown[2]!.id]) })), 2, 'ArrowRight', 10), { unfold: shown[2]!.id });
  assert.deepEqual(step(shown, 0, 'End', 10), { select: 3 });
  assert.equal(step(shown, 1, 'ArrowRight', 10), null);
});

test('two moments differ by who came, who went and who changed; a pid that was given away again is another process', () => {
  const before = [row(1, null, { residentBytes: 10, cores: 0.5 }), row(2, 1, { residentBytes: 5 }), row(3, 1, { residentBytes: 7 })];
  const after = [row(1, null, { residentBytes: 30, cores: 0.5 }), { ...row(2, 1, { residentBytes: 5 }), startTicks: 99 }, row(3, 1, { residentBytes: 7 })];
  const all = compare(before, after);
  assert.deepEqual(all.map((each) => [each.change, each.row.pid]), [['added', 2], ['gone', 2], ['changed', 1], ['same', 3]]);
  assert.deepEqual(all.map((each) => each.resident), [5, -5, 20, 0]);
  assert.deepEqual(all.map((each) => each.cores), [null, null, 0, null]);
  assert.deepEqual(counts(all), { added: 1, gone: 1, changed: 1, same: 1 });
});

test('a process whose memory could not be read at one of both moments has no known difference', () => {
  const [only] = compare([row(1, null, { residentBytes: null, threads: 1 })], [row(1, null, { residentBytes: 8, threads: 2 })]);
  assert.deepEqual([only!.change, only!.resident, only!.threads], ['changed', null, 1]);
});

test('no two nodes of the graph touch, parents stand left of their children, and crowds are one node until opened', () => {
  const rows = [...FAMILY, ...Array.from({ length: 30 }, (_, at) => row(100 + at, 2, { name: 'worker', threads: 1 + (at % 5) }))];
  const small = layout(forest(rows), 'threads', new Set());
  const crowd = small.placed.find((each) => each.nodes.length > 1)!;
  assert.equal(crowd.label, 'worker ×30');
  const large = layout(forest(rows), 'memory', new Set([crowd.id]));
  assert.equal(large.placed.length, rows.length);
  for (const { placed, edges } of [small, large]) {
    for (const edge of edges) assert.ok(edge.from.end < edge.to.x - edge.to.radius, 'a label ends before the child begins');
    for (const [at, one] of placed.entries()) {
      for (const other of placed.slice(at + 1)) {
        assert.ok(Math.hypot(one.x - other.x, one.y - other.y) > one.radius + other.radius, `${one.label} and ${other.label}`);
      }
    }
  }
});
