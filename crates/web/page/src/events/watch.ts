// Watch points: a metric above or below a level for some time raises an event. Worked out from what a frame says, so that the same data always raises the same events.
import type { Event, Frame, Line, Spec, Unit } from '../api.ts';

export interface Rule {
  id: string;
  /** What is watched, in words. */
  metric: string;
  unit: Unit;
  spec: Spec;
  above: boolean;
  level: number;
  seconds: number;
  on: boolean;
}

/** A time in which the rule held. */
export interface Crossing { from: number; to: number | null; worst: number }

/** When a line was beyond the level for at least so long. Nothing is known in a gap, so nothing holds there. */
export function crossings(line: Pick<Line, 'x' | 'mean' | 'min' | 'max'>, rule: Pick<Rule, 'above' | 'level' | 'seconds'>): Crossing[] {
  const values = (rule.above ? line.max : line.min) ?? line.mean;
  const result: Crossing[] = [];
  let [begin, last, worst]: [number | null, number, number] = [null, 0, 0];
  const end = (at: number | null): void => {
    if (begin !== null && (at ?? last) - begin >= rule.seconds * 1e3) result.push({ from: begin, to: at, worst });
    begin = null;
  };
  for (let at = 0; at < line.x.length; at += 1) {
    const [time, value] = [line.x[at]!, values[at]!];
    if (Number.isNaN(value)) {
      end(last);
    } else if (rule.above ? value > rule.level : value < rule.level) {
      if (begin === null) [begin, worst] = [time, value];
      worst = rule.above ? Math.max(worst, value) : Math.min(worst, value);
    } else {
      end(time);
    }
    last = time;
  }
  end(null);
  return result;
}

/** The events that a rule raises in a frame that was asked for its spec alone. */
export function raise(rule: Rule, frame: Frame, show: (value: number, unit: Unit) => string): Event[] {
  return frame.lines.flatMap((line) => crossings(line, rule).map((crossing): Event => ({
    key: `rule:${rule.id}:${line.label}:${crossing.from}`,
    at: crossing.from,
    duration: crossing.to === null ? null : crossing.to - crossing.from,
    name: `${rule.spec.by ? `${line.label}: ` : ''}${rule.metric} ${rule.above ? 'above' : 'below'} ${show(rule.level, rule.unit)}`,
    detail: `${rule.above ? 'at most' : 'at least'} ${show(crossing.worst, rule.unit)}${crossing.to === null ? '; it still is' : ''}`,
    by: 'rule',
    pid: typeof line.key[0] === 'number' && line.key.length === 2 ? line.key[0] : null,
    attributes: null,
  })));
}

const PLACE = 'barograph.watch';

export function loadRules(shelf: { getItem(key: string): string | null }): Rule[] {
  try {
    const value: unknown = JSON.parse(shelf.getItem(PLACE) ?? '[]');
    return Array.isArray(value) ? value.filter(isRule) : [];
  } catch {
    return [];
  }
}

function isRule(value: unknown): value is Rule {
  return typeof value === 'object' && value !== null && 'level' in value && typeof value.level === 'number' && 'seconds' in value && typeof value.seconds === 'number'
    && 'spec' in value && typeof value.spec === 'object' && 'metric' in value && typeof value.metric === 'string' && 'id' in value && typeof value.id === 'string';
}

export function saveRules(shelf: { setItem(key: string, value: string): void }, rules: readonly Rule[]): void {
  shelf.setItem(PLACE, JSON.stringify(rules));
}

const BYTES: [string, number][] = [['TiB', 2 ** 40], ['TB', 1e12], ['GiB', 2 ** 30], ['GB', 1e9], ['MiB', 2 ** 20], ['MB', 1e6], ['KiB', 2 ** 10], ['kB', 1e3]];

/** The rule as a recorder understands it (`barograph run --mark-when`); null where it can't look at this: it knows one metric, of one subject or of all together. */
export function condition(rule: Pick<Rule, 'spec' | 'unit' | 'above' | 'level' | 'seconds'>): string | null {
  const { table, plus, minus, where, by } = rule.spec;
  const keys = Object.values(where ?? {});
  const isCpu = table === 'job' && plus.join() === 'user_seconds,system_seconds';
  if (by || (minus ?? []).length > 0 || keys.length > 1 || (plus.length !== 1 && !isCpu)) return null;
  const metric = isCpu ? 'cpu' : `${table}.${plus[0]}${keys.length === 1 ? `[${keys[0]}]` : ''}`;
  const unit = rule.unit.startsWith('bytes') && rule.level !== 0 ? BYTES.find(([, worth]) => Number.isInteger((rule.level * 10) / worth)) : undefined;
  const level = unit ? `${rule.level / unit[1]} ${unit[0]}` : String(rule.level);
  return `${metric} ${rule.above ? '>' : '<'} ${level}${rule.seconds > 0 ? ` for ${rule.seconds} s` : ''}`;
}

const FACTORS: Record<string, number> = { k: 1e3, m: 1e6, g: 1e9, t: 1e12, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40, kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12, ms: 1e-3, us: 1e-6, s: 1, min: 60, h: 3600, '%': 0.01, b: 1, cores: 1, core: 1, '': 1 };

/** A level as people type it: `12 GB`, `80 %`, `1.5`. Bare bytes of memory may be `12 GiB` too; a rate is the same per second. */
export function readLevel(text: string): number | null {
  const parts = /^(-?\d+(?:[.,]\d+)?)\s*([a-z%]*)(?:\/s)?$/i.exec(text.trim());
  const factor = parts && FACTORS[parts[2]!.toLowerCase()];
  return parts && factor !== undefined && factor !== null ? Number(parts[1]!.replace(',', '.')) * factor : null;
}
