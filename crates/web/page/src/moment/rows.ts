// The processes of one moment as a table or a tree: sorted, filtered, folded, summed. Pure: what is drawn is decided here.
import type { ProcessRow, Unit } from '../api.ts';

/** A column of the process table. */
export interface Column {
  id: ColumnId;
  title: string;
  unit: Unit | 'text' | 'id' | 'age';
  help: string;
  value: (row: ProcessRow) => number | string | null;
}

export type ColumnId = 'pid' | 'process' | 'cores' | 'resident' | 'read' | 'written' | 'threads' | 'waiting' | 'age' | 'command';

export const COLUMNS: readonly Column[] = [
  { id: 'pid', title: 'pid', unit: 'id', help: 'Process id', value: (row) => row.pid },
  { id: 'process', title: 'process', unit: 'text', help: 'Its name', value: (row) => row.name },
  { id: 'cores', title: 'CPU', unit: 'cores', help: 'Cores used since the reading before', value: (row) => row.cores },
  { id: 'resident', title: 'memory', unit: 'bytes', help: 'RAM, pages shared with others included', value: (row) => row.residentBytes },
  { id: 'read', title: 'read', unit: 'bytes_per_second', help: 'Bytes read per second', value: (row) => row.read },
  { id: 'written', title: 'written', unit: 'bytes_per_second', help: 'Bytes written per second', value: (row) => row.written },
  { id: 'threads', title: 'threads', unit: 'count', help: 'Threads', value: (row) => row.threads },
  { id: 'waiting', title: 'waiting', unit: 'ratio', help: 'Share of the time that it was ready and waited for a core', value: (row) => row.waiting },
  { id: 'age', title: 'age', unit: 'age', help: 'Time since it began', value: (row) => row.ageSeconds },
  { id: 'command', title: 'command', unit: 'text', help: 'Its command line', value: (row) => row.command },
];

export interface Sort { column: ColumnId; descending: boolean }

/** What a subtree comes to. Null where no process of it is known. */
export interface Sums { cores: number | null; resident: number | null; read: number | null; written: number | null; threads: number | null }

/** A process among the others of its moment. */
export interface Node {
  id: string;
  row: ProcessRow;
  children: Node[];
  /** How many are below it. */
  descendants: number;
  sums: Sums;
}

/** A line of the grid. */
export interface Shown {
  id: string;
  row: ProcessRow;
  /** From 1, as ARIA counts. */
  level: number;
  /** Null where nothing is below it. */
  open: boolean | null;
  descendants: number;
  sums: Sums;
  /** It is there for the sake of what is below it. */
  dimmed: boolean;
  position: number;
  siblings: number;
}

/** A pid alone names nothing. */
export function identity(row: { pid: number; startTicks: number }): string {
  return `${row.pid}.${row.startTicks}`;
}

/** To whom its colour belongs: lines of charts are named so too. */
export function hue(row: ProcessRow): string {
  return row.name === null ? String(row.pid) : `${row.name} (${row.pid})`;
}

/** What it is called where there is little room. */
export function title(row: ProcessRow): string {
  return row.name ?? row.command?.split(' ')[0]?.split('/').pop() ?? `pid ${row.pid}`;
}

function column(id: ColumnId): Column {
  return COLUMNS.find((each) => each.id === id) ?? COLUMNS[0]!;
}

/** Orders by a column; what is not known comes last either way, and equals keep the order of their pids. */
export function compareBy(sort: Sort, value: (row: ProcessRow) => number | string | null = column(sort.column).value): (a: ProcessRow, b: ProcessRow) => number {
  const sign = sort.descending ? -1 : 1;
  return (a, b) => compareValues(value(a), value(b), sign) || a.pid - b.pid;
}

function compareValues(one: number | string | null, other: number | string | null, sign: number): number {
  if (one === null || other === null) return one === other ? 0 : one === null ? 1 : -1;
  if (typeof one === 'number' && typeof other === 'number') return sign * (one - other);
  return sign * String(one).localeCompare(String(other));
}

/** Whether it is meant by what was typed: each word is in its pid (as a whole), name, command or user. */
export function matches(row: ProcessRow, text: string): boolean {
  return text.toLowerCase().split(/\s+/).filter(Boolean).every((word) =>
    String(row.pid) === word || [row.name, row.command, row.user].some((each) => each?.toLowerCase().includes(word)));
}

/** The processes as a forest: a process whose parent is not among them is a root. */
export function forest(rows: readonly ProcessRow[]): Node[] {
  const nodes = rows.map((row): Node => ({ id: identity(row), row, children: [], descendants: 0, sums: own(row) }));
  const byPid = new Map(nodes.map((node) => [node.row.pid, node]));
  const parents = new Map<Node, Node>();
  for (const node of nodes) {
    const parent = node.row.parentPid === null ? undefined : byPid.get(node.row.parentPid);
    // Rows that name each other as parents would be a ring that hangs nowhere.
    if (parent && !isBelow(parent, node, parents)) {
      parents.set(node, parent);
      parent.children.push(node);
    }
  }
  const roots = nodes.filter((node) => !parents.has(node));
  for (const node of upwards(roots)) {
    for (const child of node.children) {
      node.descendants += 1 + child.descendants;
      node.sums = add(node.sums, child.sums);
    }
  }
  return roots;
}

function isBelow(node: Node, above: Node, parents: Map<Node, Node>): boolean {
  for (let at: Node | undefined = node; at; at = parents.get(at)) if (at === above) return true;
  return false;
}

/** Children before their parents, without recursion: trees of processes can be as deep as pids reach. */
function upwards(roots: readonly Node[]): Node[] {
  const order: Node[] = [];
  const waiting = [...roots];
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    order.push(node);
    waiting.push(...node.children);
  }
  return order.reverse();
}

function own(row: ProcessRow): Sums {
  return { cores: row.cores, resident: row.residentBytes, read: row.read, written: row.written, threads: row.threads };
}

function add(one: Sums, other: Sums): Sums {
  const sum = (a: number | null, b: number | null): number | null => (a === null ? b : b === null ? a : a + b);
  return {
    cores: sum(one.cores, other.cores),
    resident: sum(one.resident, other.resident),
    read: sum(one.read, other.read),
    written: sum(one.written, other.written),
    threads: sum(one.threads, other.threads),
  };
}

/** What all of them come to. */
export function total(rows: readonly ProcessRow[]): Sums {
  return rows.map(own).reduce(add, { cores: null, resident: null, read: null, written: null, threads: null });
}

/** The row with the values of its subtree where there are such. */
export function withSums(shown: { row: ProcessRow; sums: Sums }): ProcessRow {
  const { cores, resident, read, written, threads } = shown.sums;
  return { ...shown.row, cores, residentBytes: resident, read, written, threads };
}

/** What is asked of the grid. */
export interface Question {
  sort: Sort;
  find: string;
  /** Ids of what is folded. */
  folded: ReadonlySet<string>;
}

/** The rows as a flat table. */
export function table(rows: readonly ProcessRow[], question: Question): Shown[] {
  const found = rows.filter((row) => matches(row, question.find)).sort(compareBy(question.sort));
  return found.map((row, at) => ({ id: identity(row), row, level: 1, open: null, descendants: 0, sums: own(row), dimmed: false, position: at + 1, siblings: found.length }));
}

/** The rows as a tree. While something is looked for, its ancestors stay and nothing is folded. */
export function tree(rows: readonly ProcessRow[], question: Question): Shown[] {
  const roots = forest(rows);
  const finds = question.find.trim() !== '';
  const kept = finds ? keepFound(roots, question.find) : null;
  const value = column(question.sort.column).value;
  const sign = question.sort.descending ? -1 : 1;
  // A branch stands where all of it belongs, whatever is written beside it: who is busy is found near the top, though its parent idles.
  const order = (nodes: readonly Node[]): Node[] =>
    (kept ? nodes.filter((node) => kept.has(node.id)) : [...nodes]).sort((a, b) => compareValues(value(withSums(a)), value(withSums(b)), sign) || a.row.pid - b.row.pid);
  const shown: Shown[] = [];
  const waiting: { node: Node; level: number; position: number; siblings: number }[] = [];
  const push = (nodes: Node[], level: number): void => {
    for (let at = nodes.length - 1; at >= 0; at -= 1) waiting.push({ node: nodes[at]!, level, position: at + 1, siblings: nodes.length });
  };
  push(order(roots), 1);
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { node, level, position, siblings } = next;
    const children = order(node.children);
    const open = children.length === 0 ? null : finds || !question.folded.has(node.id);
    shown.push({ id: node.id, row: node.row, level, open, descendants: node.descendants, sums: node.sums, dimmed: finds && !matches(node.row, question.find), position, siblings });
    if (open) push(children, level + 1);
  }
  return shown;
}

function keepFound(roots: readonly Node[], find: string): Set<string> {
  const kept = new Set<string>();
  for (const node of upwards(roots)) {
    if (matches(node.row, find) || node.children.some((child) => kept.has(child.id))) kept.add(node.id);
  }
  return kept;
}

/** Where a key of the keyboard leads in a tree grid; `null` if it is none of ours. */
export function step(shown: readonly Shown[], selected: number, key: string, page: number): { select: number } | { fold: string } | { unfold: string } | null {
  const last = shown.length - 1;
  const row = shown[selected];
  const clamp = (at: number): { select: number } => ({ select: Math.max(0, Math.min(last, at)) });
  switch (key) {
    case 'ArrowDown': return clamp(selected + 1);
    case 'ArrowUp': return clamp(selected - 1);
    case 'PageDown': return clamp(selected + page);
    case 'PageUp': return clamp(selected - page);
    case 'Home': return clamp(0);
    case 'End': return clamp(last);
    case 'ArrowRight':
      if (!row || row.open === null) return null;
      return row.open ? clamp(selected + 1) : { unfold: row.id };
    case 'ArrowLeft': {
      if (!row) return null;
      if (row.open) return { fold: row.id };
      for (let at = selected - 1; at >= 0; at -= 1) if (shown[at]!.level < row.level) return clamp(at);
      return null;
    }
    default: return null;
  }
}
