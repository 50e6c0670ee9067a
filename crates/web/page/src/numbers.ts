// Numbers for people, as everywhere in Barograph: three significant digits and a unit, bytes in binary units.
import type { Unit } from './api.ts';

/** Between the thousands of a long number. It is narrow, and lines are not broken at it. */
const GROUP = '\u202f';
const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
/** What stands where nothing is known. */
export const ABSENT = '–';

/** How all numbers of a chart or a column are shown: divided by the factor, with this unit. */
export interface Scale { factor: number; unit: string }

/** Three significant digits, at most three after the point. What is too small for them is said to be so, and not to be nothing. */
export function number(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size < 0.0005) return value < 0 ? '> −0.001' : '< 0.001';
  const text = size < 0.09995 ? size.toFixed(3) : size < 9.995 ? size.toFixed(2) : size < 99.95 ? size.toFixed(1) : grouped(size);
  return value < 0 ? `−${text}` : text;
}

function grouped(size: number): string {
  if (size >= 1e15) return size.toExponential(2);
  const digits = size.toFixed(0);
  return digits.length > 4 ? digits.replace(/\B(?=(\d{3})+$)/g, GROUP) : digits;
}

/** The scale that suits numbers up to this one. */
export function scaleFor(unit: Unit, highest: number): Scale {
  const size = Math.abs(highest);
  switch (unit) {
    case 'bytes':
    case 'bytes_per_second': {
      let place = 0;
      let factor = 1;
      while (Math.round(size / factor) >= 1024 && place + 1 < BYTES.length) {
        factor *= 1024;
        place += 1;
      }
      return { factor, unit: `${BYTES[place]}${unit === 'bytes' ? '' : '/s'}` };
    }
    case 'cores':
      return { factor: 1, unit: 'cores' };
    case 'ratio':
      return { factor: 0.01, unit: '%' };
    case 'seconds':
      if (size === 0 || size >= 0.9995) return { factor: 1, unit: 's' };
      return size < 0.0009995 ? { factor: 1e-6, unit: 'µs' } : { factor: 1e-3, unit: 'ms' };
    case 'hertz':
      if (size >= 0.9995e9) return { factor: 1e9, unit: 'GHz' };
      if (size >= 0.9995e6) return { factor: 1e6, unit: 'MHz' };
      return size >= 0.9995e3 ? { factor: 1e3, unit: 'kHz' } : { factor: 1, unit: 'Hz' };
    case 'per_second':
      return size >= 1e6 ? { factor: 1e6, unit: 'million/s' } : { factor: 1, unit: '/s' };
    case 'count':
      return size >= 1e9 ? { factor: 1e6, unit: 'million' } : { factor: 1, unit: '' };
    case 'number':
      return { factor: 1, unit: '' };
  }
}

/** A number in a scale, without its unit. */
export function inScale(value: number | null | undefined, scale: Scale): string {
  return value == null || Number.isNaN(value) ? ABSENT : scale.unit === 'B' ? grouped2(value) : number(value / scale.factor);
}

const grouped2 = (value: number): string => `${value < 0 ? '−' : ''}${grouped(Math.abs(value))}`;

/** A number with its unit: `1.25 GiB`, `2.10 cores`, `12.3 %`. */
export function amount(value: number | null | undefined, unit: Unit): string {
  if (value == null || Number.isNaN(value)) return ABSENT;
  if (unit === 'seconds') return duration(value);
  if (unit === 'number' && value !== 0 && (Math.abs(value) < 0.001 || Math.abs(value) >= 1e6)) return value.toExponential(2).replace('-', '−');
  if (unit === 'count' && Number.isInteger(value)) return grouped2(value);
  const scale = scaleFor(unit, value);
  const said = inScale(value, scale);
  const name = scale.unit === 'cores' && said === '1.00' ? 'core' : scale.unit;
  return name ? `${said}${name.startsWith('/') ? '' : ' '}${name}` : said;
}

/** What a counter grew by: the unit without its second. */
export function totalUnit(unit: Unit): Unit {
  return unit === 'cores' ? 'seconds' : unit === 'bytes_per_second' ? 'bytes' : unit === 'per_second' ? 'count' : unit === 'ratio' ? 'seconds' : unit;
}

/** A length of time: `850 ms`, `12.3 s`, `3 min 12 s`, `1 h 02 min`, `2 d 03 h`. */
export function duration(seconds: number): string {
  const size = Math.abs(seconds);
  const sign = seconds < 0 ? '−' : '';
  const two = (value: number): string => String(value).padStart(2, '0');
  if (size === 0) return '0 s';
  if (size < 0.0009995) return `${sign}${number(size * 1e6)} µs`;
  if (size < 0.9995) return `${sign}${number(size * 1e3)} ms`;
  if (size < 59.95) return `${sign}${number(size)} s`;
  if (size < 3599.5) {
    const whole = Math.round(size);
    return `${sign}${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  }
  if (size < 86_370) {
    const minutes = Math.round(size / 60);
    return `${sign}${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  }
  const hours = Math.round(size / 3600);
  return `${sign}${grouped(Math.floor(hours / 24))} d ${two(hours % 24)} h`;
}

/** A length of time as a stop watch shows it: `00:12:31`. */
export function stopwatch(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (value: number): string => String(value).padStart(2, '0');
  const days = Math.floor(whole / 86400);
  return `${days ? `${days} d ` : ''}${two(Math.floor((whole % 86400) / 3600))}:${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}`;
}

/** A number without zeros behind the point, for what somebody has set and for axes. */
export const bare = (text: string): string => (text.includes('.') ? text.replace(/\.?0+(?=\D*$)/, '') : text);

/** `1 core`, `3 cores`. */
export const plural = (value: number, one: string, many: string): string => `${value === 1 ? '1' : bare(number(value))} ${value === 1 ? one : many}`;

/** Ticks of an axis from zero (or below), no more than so many, at round numbers of the scale. The last one is not below the highest value. */
export function axisTicks(low: number, high: number, most: number, scale: Scale): number[] {
  const binary = /i?B(\/s)?$/.test(scale.unit);
  const bottom = low / scale.factor;
  const top = high / scale.factor;
  const rough = (top - bottom) / Math.max(1, most);
  if (!(rough > 0) || !Number.isFinite(rough)) return [0];
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = binary && rough >= 1
    ? 2 ** Math.ceil(Math.log2(rough * 0.8))
    : (scale.unit === '%' ? [1, 2.5, 5, 10] : [1, 2, 5, 10]).map((factor) => factor * magnitude).find((candidate) => candidate >= rough * 0.8) ?? 1;
  const found: number[] = [];
  for (let place = Math.floor(bottom / step + 1e-9); place * step < top + step * 0.999; place += 1) found.push(place * step * scale.factor);
  return found;
}
