// Where the nodes of the process graph stand: a tree from left to right, one step of depth a column, no two circles or labels on each other.
import type { Node } from './rows.ts';
import { title } from './rows.ts';

export type Measure = 'threads' | 'memory';

/** A process, or several childless ones of one name and parent, which are drawn as one. */
export interface Placed {
  id: string;
  nodes: Node[];
  label: string;
  x: number;
  y: number;
  radius: number;
  /** Where its label ends. */
  end: number;
  value: number | null;
}

export interface Edge { from: Placed; to: Placed }

export interface Layout { placed: Placed[]; edges: Edge[]; width: number; height: number }

const COLUMN = 208;
const MARGIN = 8;
const ROW = 20;
/** About the width of a character of a label. */
const CHARACTER = 6.8;
const [SMALLEST, LARGEST] = [3.5, 17];
/** Childless siblings of one name, from so many on, are one node until it is opened. */
const CROWD = 3;

interface Branch { id: string; nodes: Node[]; children: Branch[]; value: number | null }

/** Places a forest. `opened` holds the ids of crowds that are to be drawn one by one. */
export function layout(roots: readonly Node[], measure: Measure, opened: ReadonlySet<string>): Layout {
  const branches = gather(roots, measure, opened, 'root');
  const all = flatten(branches);
  const largest = Math.max(0, ...all.map((each) => (each.value ?? 0) / each.nodes.length));
  const radius = (each: Branch): number => (largest === 0 ? SMALLEST : SMALLEST + (LARGEST - SMALLEST) * Math.sqrt(Math.min(1, (each.value ?? 0) / each.nodes.length / largest)));
  const result: Layout = { placed: [], edges: [], width: 0, height: MARGIN };
  const place = (each: Branch, depth: number): Placed => {
    const children = each.children.map((child) => place(child, depth + 1));
    const size = radius(each);
    const first = children[0];
    const placed: Placed = {
      id: each.id,
      nodes: each.nodes,
      label: label(each),
      x: MARGIN + LARGEST + depth * COLUMN,
      y: 0,
      radius: size,
      end: 0,
      value: each.value,
    };
    placed.end = placed.x + size + 6 + placed.label.length * CHARACTER;
    if (first) {
      placed.y = (first.y + children[children.length - 1]!.y) / 2;
    } else {
      const room = Math.max(ROW, 2 * size + 4);
      placed.y = result.height + room / 2;
      result.height += room;
    }
    result.placed.push(placed);
    for (const child of children) result.edges.push({ from: placed, to: child });
    result.width = Math.max(result.width, placed.end);
    return placed;
  };
  // Deep chains are rare, and a stack of 10,000 frames holds them; the server sends no deeper ones.
  for (const branch of branches) place(branch, 0);
  result.height += MARGIN;
  result.width += MARGIN;
  return result;
}

function gather(nodes: readonly Node[], measure: Measure, opened: ReadonlySet<string>, above: string): Branch[] {
  const crowds = new Map<string, Node[]>();
  for (const node of nodes) {
    if (node.children.length > 0) continue;
    const name = kin(node);
    crowds.set(name, [...(crowds.get(name) ?? []), node]);
  }
  const result: Branch[] = [];
  for (const node of nodes) {
    const crowd = node.children.length === 0 ? crowds.get(kin(node))! : [node];
    const id = `${above}/${kin(node)}`;
    if (crowd.length >= CROWD && !opened.has(id)) {
      if (crowd[0] === node) result.push({ id, nodes: crowd, children: [], value: sum(crowd, measure) });
    } else {
      result.push({ id: node.id, nodes: [node], children: gather(node.children, measure, opened, node.id), value: sum([node], measure) });
    }
  }
  return result;
}

/** What a process has in common with others like it: `kworker/3:1` is one of many. */
function kin(node: Node): string {
  const name = title(node.row);
  return name.replace(/[/:]?[\d].*$|\/.*$/, '') || name;
}

function sum(nodes: readonly Node[], measure: Measure): number | null {
  return nodes.map(({ row }) => (measure === 'threads' ? row.threads : row.residentBytes)).reduce((a, b) => (a === null ? b : b === null ? a : a + b), null);
}

function flatten(branches: readonly Branch[]): Branch[] {
  return branches.flatMap((each) => [each, ...flatten(each.children)]);
}

function label(each: Branch): string {
  const name = each.nodes.length > 1 ? kin(each.nodes[0]!) : title(each.nodes[0]!.row);
  const short = name.length > 17 ? `${name.slice(0, 16)}…` : name;
  return each.nodes.length > 1 ? `${short} ×${each.nodes.length}` : `${short} ${each.nodes[0]!.row.pid}`;
}

/** The curve from behind a parent's label to its child. */
export function curve({ from, to }: Edge): string {
  const [start, end] = [from.end + 3, to.x - to.radius - 1];
  const middle = (start + end) / 2;
  return `M${start},${from.y}C${middle},${from.y} ${middle},${to.y} ${end},${to.y}`;
}
