// Colours belong to identities (a process, a device, a span's name) and stay with them across charts, zooms and runs. Red is kept for faults and limits.

/**
 * Hues that people with any kind of colour vision tell apart, for each theme: found by a search for the set whose two nearest are furthest from each other,
 * as seen with each kind of colour blindness. The same place is the same hue in both. Test `colours` says how far they are.
 */
export const PALETTE: { light: readonly string[]; dark: readonly string[] } = {
  light: ['#2655b3', '#e38e15', '#35aa8e', '#8f78d1', '#e199e6', '#916e31', '#1c4f15', '#8f2667'],
  dark: ['#406eca', '#ee9d39', '#4db79b', '#a38ee4', '#f5b0fa', '#99773f', '#aee2a6', '#a8447f'],
};

/** What is not told apart. */
export const OTHERS = { light: '#cdd1d7', dark: '#474d57' };

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
  ['user', 'read', 'received', 'processes', 'used', 'CPU', 'all'],
  ['system', 'written', 'sent', 'threads', 'I/O', 'largest process'],
  ['nice', 'cached', 'running'],
  ['memory', 'interrupts', 'blocked', 'iowait'],
  ['free', 'stolen', 'steal'],
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
