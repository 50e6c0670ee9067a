// Events as CSV, `event,timestamp`, read and written in the browser where the recording can't be written to.
import type { Event } from '../api.ts';

export interface Refused { line: number; why: string }
export interface Imported { events: { name: string; at: number; attributes: Record<string, string> | null }[]; refused: Refused[] }

interface Record_ { line: number; cells: string[] }

/** Reads events. `parse` makes UTC milliseconds of a written time, in the zone that was chosen. */
export function readEvents(text: string, parse: (text: string) => number | null): Imported {
  const { records, unclosed } = readCsv(text);
  const imported: Imported = { events: [], refused: [] };
  let columns = { event: 0, timestamp: 1, others: [] as { at: number; name: string }[] };
  const first = records[0]?.cells.map((cell) => cell.trim().toLowerCase());
  if (first?.includes('event') && first.includes('timestamp')) {
    columns = {
      event: first.indexOf('event'),
      timestamp: first.indexOf('timestamp'),
      others: records.shift()!.cells.map((name, at) => ({ name: name.trim(), at })).filter(({ at }) => at !== first.indexOf('event') && at !== first.indexOf('timestamp')),
    };
  }
  for (const { line, cells } of records) {
    const refuse = (why: string): void => void imported.refused.push({ line, why });
    const name = cells[columns.event]?.trim();
    const written = cells[columns.timestamp]?.trim();
    if (written === undefined) refuse('there is no second column');
    else if (!name) refuse('the event has no name');
    else {
      const at = readNumber(written) ?? parse(written);
      if (at === null) refuse(`“${written}” is no time`);
      else {
        const attributes = Object.fromEntries(columns.others.flatMap(({ name: key, at: column }) => (cells[column] ? [[key, cells[column]]] : [])));
        imported.events.push({ name, at, attributes: Object.keys(attributes).length > 0 ? attributes : null });
      }
    }
  }
  if (unclosed !== null) imported.refused.push({ line: unclosed, why: 'a quotation mark is not closed' });
  return imported;
}

/** Seconds, or milli-, micro- or nanoseconds since 1970, as their size tells. */
export function readNumber(text: string): number | null {
  if (!/^-?\d+(\.\d+)?$/.test(text)) return null;
  const value = Number(text);
  const size = Math.abs(value);
  const milliseconds = size < 1e11 ? value * 1e3 : size < 1e14 ? value : size < 1e17 ? value / 1e3 : value / 1e6;
  return Number.isFinite(milliseconds) ? milliseconds : null;
}

/** RFC 4180, with any line ends; empty lines are passed over. */
function readCsv(text: string): { records: Record_[]; unclosed: number | null } {
  const records: Record_[] = [];
  let [cells, cell, line, begun, quoted, opened]: [string[], string, number, number, boolean, number] = [[], '', 1, 1, false, 1];
  const end = (): void => {
    cells.push(cell);
    if (cells.length > 1 || cell.trim() !== '') records.push({ line: begun, cells });
    [cells, cell] = [[], ''];
  };
  const input = text.replace(/^\uFEFF/, '');
  for (let at = 0; at < input.length; at += 1) {
    const letter = input[at]!;
    if (letter === '\n') line += 1;
    if (quoted) {
      if (letter !== '"') cell += letter;
      else if (input[at + 1] === '"') (cell += '"'), (at += 1);
      else quoted = false;
    } else if (letter === '"' && cell === '') [quoted, opened] = [true, line];
    else if (letter === ',') cells.push(cell), (cell = '');
    else if (letter === '\n') end(), (begun = line);
    else if (letter !== '\r') cell += letter;
  }
  if (quoted) return { records, unclosed: opened };
  end();
  return { records, unclosed: null };
}

/** Writes events, in the order of time. */
export function writeEvents(events: readonly Event[]): string {
  const lines = [...events].sort((a, b) => a.at - b.at).map((event) => `${quote(event.name)},${new Date(event.at).toISOString()}`);
  return ['event,timestamp', ...lines, ''].join('\r\n');
}

function quote(text: string): string {
  // A spreadsheet would take these for formulas.
  const harmless = /^[=+\-@\t]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
