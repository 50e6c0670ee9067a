// What the page shows, as text in its address, and back. Nothing here knows of a browser.
import type { Range } from './time.ts';
import { SECOND } from './time.ts';

/** How a value is written in the address. What can't be read is null, and passed over. */
export interface Notation<T> { read(text: string): T | null; write(value: T): string }

/** The parts of `#name=value&…`. */
export function readAddress(hash: string): Map<string, string> {
  const parts = new Map<string, string>();
  for (const part of hash.replace(/^#/, '').split('&')) {
    const equals = part.indexOf('=');
    if (equals < 1) continue;
    try {
      parts.set(part.slice(0, equals), decodeURIComponent(part.slice(equals + 1).replaceAll('+', ' ')));
    } catch {
      // A text that is no text is passed over.
    }
  }
  return parts;
}

/** `#name=value&…`, or nothing. */
export function writeAddress(parts: Iterable<[string, string]>): string {
  const text = [...parts].map(([name, value]) => `${name}=${encodeURIComponent(value).replace(/%(2C|3A|2F|40|3D|24|3B)/g, (code) => decodeURIComponent(code))}`).join('&');
  return text && `#${text}`;
}

export const words: Notation<string> = { read: (text) => text, write: (value) => value };

export const list = {
  read: (text: string): string[] => text.split(',').filter(Boolean).map(unescapeComma),
  write: (value: string[]): string => value.map((word) => word.replaceAll('%', '%25').replaceAll(',', '%2C')).join(','),
} satisfies Notation<string[]>;

const unescapeComma = (word: string): string => word.replaceAll('%2C', ',').replaceAll('%25', '%');

export const flag: Notation<boolean> = { read: (text) => text === '1', write: (value) => (value ? '1' : '0') };

export function number(low: number, high: number): Notation<number> {
  return {
    read: (text) => {
      const value = Number(text);
      return text !== '' && value >= low && value <= high ? value : null;
    },
    write: String,
  };
}

export function oneOf<T extends string>(...choices: T[]): Notation<T> {
  return { read: (text) => choices.find((choice) => choice === text) ?? null, write: (value) => value };
}

/** A moment: `2026-11-21T12:03:22.400Z`, so that a person can read and write it, with as many digits as a number has for it: who follows a link sees the same rows. */
export const moment: Notation<number> = {
  read: (text) => {
    if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text);
    // Browsers read no more than milliseconds.
    const [, before, fine, zone] = /^(.*T.*\.\d{3})(\d+)(.*)$/.exec(text) ?? ['', text, '0', ''];
    const time = Date.parse(before + zone) + Number(`0.${fine}`);
    return Number.isFinite(time) ? time : null;
  },
  write: (time) => {
    const tenths = Math.round((time - Math.floor(time)) * 1e4);
    const fine = tenths % 1e4 === 0 ? '' : String(tenths).padStart(4, '0').replace(/0+$/, '');
    return new Date(Math.floor(time) + Math.floor(tenths / 1e4)).toISOString().replace('Z', `${fine}Z`).replace('.000Z', 'Z');
  },
};

/** `FROM..TO`. */
export const stretch: Notation<{ from: number; to: number }> = {
  read: (text) => {
    const [from, to, more] = text.split('..').map(moment.read);
    return from != null && to != null && more === undefined && to > from ? { from, to } : null;
  },
  write: ({ from, to }) => `${moment.write(from)}..${moment.write(to)}`,
};

/** `all`, `30m`, or `FROM..TO`. */
export const range: Notation<Range> = {
  read: (text) => {
    if (text === 'all') return { kind: 'all' };
    const last = /^(\d+(?:\.\d+)?)(s|m|h|d)$/.exec(text);
    if (last) {
      const length = Number(last[1]) * { s: SECOND, m: 60 * SECOND, h: 3600 * SECOND, d: 86400 * SECOND }[last[2] as 's' | 'm' | 'h' | 'd'];
      return length > 0 ? { kind: 'last', length } : null;
    }
    const free = stretch.read(text);
    return free && { kind: 'free', ...free };
  },
  write: (value) => {
    if (value.kind === 'all') return 'all';
    if (value.kind === 'free') return stretch.write(value);
    const seconds = value.length / SECOND;
    if (seconds % 86400 === 0) return `${seconds / 86400}d`;
    if (seconds % 3600 === 0) return `${seconds / 3600}h`;
    return seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s`;
  },
};

/** A process: `4312.88123`, its pid and when it began in ticks. */
export const process: Notation<{ pid: number; startTicks: number }> = {
  read: (text) => {
    const parts = /^(\d+)\.(\d+)$/.exec(text);
    return parts && { pid: Number(parts[1]), startTicks: Number(parts[2]) };
  },
  write: ({ pid, startTicks }) => `${pid}.${startTicks}`,
};

/** Which panels are shown, in their order, and which were taken away: `a,b,-c`. Panels that are in neither are shown if the run would have them shown. */
export interface Choice { shown: string[]; hidden: string[] }

export const choice: Notation<Choice> = {
  read: (text) => {
    const all = list.read(text);
    return { shown: all.filter((id) => !id.startsWith('-')), hidden: all.filter((id) => id.startsWith('-')).map((id) => id.slice(1)) };
  },
  write: ({ shown, hidden }) => list.write([...shown, ...hidden.map((id) => `-${id}`)]),
};

/** Of a file in which nothing is known by its name, so many panels are shown by themselves. */
const OF_THE_UNKNOWN = 8;

/** The panels, of which some are shown unless somebody chooses otherwise. */
export const usual = <P extends { shown: boolean }>(panels: readonly P[]): readonly P[] =>
  panels.some(({ shown }) => shown) ? panels : panels.map((panel, at) => ({ ...panel, shown: at < OF_THE_UNKNOWN }));

/** The panels that are shown of those that there are. */
export function chosen<P extends { id: string; shown: boolean }>(panels: readonly P[], choice: Choice | null): P[] {
  if (!choice) return panels.filter((panel) => panel.shown);
  const known = new Map(panels.map((panel) => [panel.id, panel]));
  const wanted = [...new Set(choice.shown)].flatMap((id) => known.get(id) ?? []);
  const rest = panels.filter((panel) => panel.shown && !choice.shown.includes(panel.id) && !choice.hidden.includes(panel.id));
  return [...wanted, ...rest];
}
