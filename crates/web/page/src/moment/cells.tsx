// How the figures of processes are written: one unit for a column, its smaller values still told apart.
import type { Unit } from '../api.ts';
import { ABSENT, duration, inScale, number, scaleFor, type Scale } from '../numbers.ts';
import { COLUMNS, type Column, type ColumnId } from './rows.ts';
import type { ProcessRow } from '../api.ts';

/** The scale of a column. Processes differ by much more than lines of a chart do, so bytes are told a step finer. */
export function columnScale(unit: Unit, values: readonly (number | null)[]): Scale {
  const highest = Math.max(0, ...values.map((value) => Math.abs(value ?? 0)));
  const isBytes = unit === 'bytes' || unit === 'bytes_per_second';
  return scaleFor(unit, isBytes && highest >= 1024 && highest / scaleFor(unit, highest).factor < 100 ? highest / 1024 : highest);
}

export interface Format { unit: string; text(value: number | string | null): string }

/** How a column of these rows is written. */
export function format(column: Column, rows: readonly ProcessRow[]): Format {
  if (column.unit === 'text' || column.unit === 'id') return { unit: '', text: (value) => (value === null ? ABSENT : String(value)) };
  if (column.unit === 'age') return { unit: '', text: (value) => (typeof value === 'number' ? duration(value) : ABSENT) };
  if (column.unit === 'count') return { unit: '', text: (value) => (typeof value === 'number' ? number(value).replace(/\.00?$/, '') : ABSENT) };
  const values = rows.map(column.value).map((value) => (typeof value === 'number' ? value : null));
  const scale = columnScale(column.unit, values);
  return { unit: scale.unit, text: (value) => inScale(typeof value === 'number' ? value : null, scale) };
}

export function formats(rows: readonly ProcessRow[]): Record<ColumnId, Format> {
  return Object.fromEntries(COLUMNS.map((column) => [column.id, format(column, rows)])) as Record<ColumnId, Format>;
}

/** A difference, with its sign. */
export function signed(value: number | null, scale: Scale): string {
  if (value === null) return ABSENT;
  const text = inScale(value, scale);
  return value > 0 ? `+${text.replace(/^< /, '')}` : text;
}
