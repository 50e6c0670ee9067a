// Frames as they travel: a header in JSON, then columns of float64 that are looked at where they lie.
import type { Frame, Gap, Key, Line, Summary, Unit } from './api.ts';

interface Header { from: number; to: number; lines: LineHead[]; gaps?: Gap[] }

type Slice = [offset: number, length: number];

interface LineHead {
  spec: number;
  label: string;
  kind: Line['kind'];
  key?: Key[];
  unit: Unit;
  summary: Summary;
  x: Slice;
  mean: Slice;
  min?: Slice | null;
  max?: Slice | null;
}

const MAGIC = 0x31524642; // BFR1, read as little-endian
const PREFIX = 8;

/** The frame in these bytes. Its arrays are views into them. */
export function decodeFrame(bytes: ArrayBuffer): Frame {
  if (bytes.byteLength < PREFIX) throw new Error('This is no frame: it is too short.');
  const view = new DataView(bytes);
  if (view.getUint32(0, true) !== MAGIC) throw new Error('This is no frame.');
  const length = view.getUint32(4, true);
  if (PREFIX + length > bytes.byteLength) throw new Error('The frame was cut off.');
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, PREFIX, length))) as Header;
  const base = Math.ceil((PREFIX + length) / 8) * 8;
  const numbers = Math.floor((bytes.byteLength - base) / 8);
  const known = new Map<number, Float64Array>();
  const column = ([offset, count]: Slice): Float64Array => {
    if (!(offset >= 0 && count >= 0) || offset + count > numbers) throw new Error('The frame was cut off.');
    // Lines of one table have one array of times, so that it is seen that they share it.
    const place = offset * 2 ** 24 + count;
    let array = known.get(place);
    if (!array) known.set(place, (array = new Float64Array(bytes, base + offset * 8, count)));
    return array;
  };
  const lines = header.lines.map((head): Line => {
    const line: Line = { spec: head.spec, label: head.label, kind: head.kind, key: head.key ?? [], unit: head.unit, summary: head.summary, x: column(head.x), mean: column(head.mean) };
    if (head.min && head.max && head.min[1] > 0) {
      line.min = column(head.min);
      line.max = column(head.max);
    }
    return line;
  });
  return { from: header.from, to: header.to, lines, gaps: header.gaps ?? [] };
}

/** Where in ascending numbers the last one stands that is not above the value; -1 if all are. */
export function lastAtOrBefore(numbers: ArrayLike<number>, value: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (numbers[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Where the number stands that is nearest to the value; -1 if there is none. */
export function nearest(numbers: ArrayLike<number>, value: number): number {
  const before = lastAtOrBefore(numbers, value);
  if (before < 0) return numbers.length > 0 ? 0 : -1;
  if (before + 1 >= numbers.length) return before;
  return value - numbers[before]! <= numbers[before + 1]! - value ? before : before + 1;
}
