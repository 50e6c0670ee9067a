// Colours belong to identities (a process, a device, a span's name) and stay with them across charts, zooms and runs. Red is kept for faults and limits.

/** Hues that people with any kind of colour vision tell apart, for each theme; the second half are the same hues, lighter or darker. */
export const PALETTE: { light: readonly string[]; dark: readonly string[] } = {
  light: ['#2f6fb3', '#d8921a', '#1b9a84', '#8a5fbf', '#6fb4de', '#8c8b1f', '#c978a9', '#86603a', '#3d4494', '#5a9e3f'],
  dark: ['#5b9be0', '#e5a63c', '#2fb8a0', '#a98ae0', '#93cdf0', '#b5b344', '#dd98c2', '#b58c62', '#7a83d8', '#7fc062'],
};

/** What is not told apart. */
export const OTHERS = { light: '#a3a7ad', dark: '#6d737b' };

/** FNV-1a, 32 bits. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let place = 0; place < text.length; place += 1) {
    value ^= text.charCodeAt(place);
    value = Math.imul(value, 0x01000193);
  }
  value ^= value >>> 15;
  return value >>> 0;
}

const places = new Map<string, number>();

/** Words that are seen often have hues that are far from each other, and the same on every machine. */
const USUAL: readonly (readonly string[])[] = [
  ['user', 'read', 'received', 'processes', 'used', 'CPU'],
  ['system', 'written', 'sent', 'threads', 'I/O'],
  ['nice', 'running'],
  ['iowait', 'blocked', 'swap'],
  ['cached', 'idle'],
  ['softirq'],
  ['irq', 'memory'],
  ['steal'],
  ['guest'],
  ['buffers'],
];
USUAL.forEach((words, hue) => words.forEach((word) => places.set(word, hue)));

/** Which hue an identity has. Once given it stays. */
export function place(identity: string): number {
  let found = places.get(identity);
  if (found === undefined) places.set(identity, (found = hash(identity) % PALETTE.light.length));
  return found;
}

/** Gives hues to what is seen together, so that those that have none yet get different ones as far as there are enough. */
export function introduce(identities: readonly string[]): void {
  const count = PALETTE.light.length;
  const used = new Array<number>(count).fill(0);
  for (const identity of identities) {
    const known = places.get(identity);
    if (known !== undefined) used[known]! += 1;
  }
  for (const identity of identities) {
    if (places.has(identity)) continue;
    const least = Math.min(...used);
    let candidate = hash(identity) % count;
    while (used[candidate]! > least) candidate = (candidate + 1) % count;
    places.set(identity, candidate);
    used[candidate]! += 1;
  }
}

/** The colour of an identity. */
export function colourOf(identity: string, dark: boolean): string {
  return (dark ? PALETTE.dark : PALETTE.light)[place(identity)]!;
}

/** For cells of a heat map: from the ground through blue to bright, alike for all eyes as it is by lightness. 0 to 1. */
export function heat(value: number, dark: boolean): [number, number, number] {
  const stops = dark ? DARK_HEAT : LIGHT_HEAT;
  const at = Math.min(Math.max(value, 0), 1) * (stops.length - 1);
  const low = Math.min(Math.floor(at), stops.length - 2);
  const part = at - low;
  const mix = (channel: 0 | 1 | 2): number => Math.round(stops[low]![channel] * (1 - part) + stops[low + 1]![channel] * part);
  return [mix(0), mix(1), mix(2)];
}

type Colour = readonly [number, number, number];
const LIGHT_HEAT: readonly Colour[] = [[240, 244, 248], [190, 215, 234], [107, 170, 214], [43, 110, 178], [16, 54, 112]];
const DARK_HEAT: readonly Colour[] = [[24, 29, 38], [25, 60, 110], [38, 104, 173], [94, 164, 222], [214, 236, 250]];
