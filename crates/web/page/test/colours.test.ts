// Colours: who has which, and whether they are told apart.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OTHERS, PALETTE, colourOf, heat, introduce, place } from '../src/colours.ts';

type Triple = [number, number, number];

/** How colours are seen by people without one kind of cone: the matrices of Machado, Oliveira and Fernandes (2009), for linear light. */
const EYES: Record<string, Triple[]> = {
  all: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protanopia: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deuteranopia: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  tritanopia: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
};

const linear = (hex: string): Triple => [1, 3, 5].map((at) => {
  const value = parseInt(hex.slice(at, at + 2), 16) / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}) as Triple;

const times = (matrix: Triple[], [a, b, c]: Triple): Triple => matrix.map(([x, y, z]) => x * a + y * b + z * c) as Triple;

/** In Oklab, where equal distances look alike. */
function oklab(light: Triple): Triple {
  const cones = times([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566], [0.0883024619, 0.2817188376, 0.6299787005]], light).map(Math.cbrt) as Triple;
  return times([[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099], [0.0259040371, 0.7827717662, -0.808675766]], cones);
}

const seen = (hex: string, eye: string): Triple => oklab(times(EYES[eye]!, linear(hex)).map((value) => Math.min(1, Math.max(0, value))) as Triple);
const distance = (one: Triple, other: Triple): number => Math.hypot(...one.map((value, at) => value - other[at]!));
const luminance = (hex: string): number => linear(hex).reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at]!, 0);

for (const [theme, ground] of [['light', '#ffffff'], ['dark', '#12151a']] as const) {
  test(`all eyes tell the colours of the ${theme} theme apart`, () => {
    const colours = [...PALETTE[theme], OTHERS[theme]];
    for (const eye of Object.keys(EYES)) {
      colours.forEach((one, at) => colours.slice(0, at).forEach((other) => {
        const apart = distance(seen(one, eye), seen(other, eye));
        // Grey is what nobody has to tell from its neighbours at a glance.
        assert.ok(apart > (one === OTHERS[theme] ? 0.05 : 0.085), `${one} and ${other} with ${eye}: ${apart.toFixed(3)}`);
      }));
    }
  });

  test(`the colours of the ${theme} theme stand out from the ground, and none is red`, () => {
    for (const colour of PALETTE[theme]) {
      const [low, high] = [luminance(colour), luminance(ground)].sort((a, b) => a - b) as [number, number];
      assert.ok((high + 0.05) / (low + 0.05) > 2, colour);
      const [, a, b] = oklab(linear(colour));
      const hue = (Math.atan2(b, a) * 180) / Math.PI;
      assert.ok(hue < -5 || hue > 45, `${colour} has the hue ${hue.toFixed(0)}`);
    }
  });
}

test('a colour stays with whom it belongs to', () => {
  const before = place('make (77)');
  introduce(['cc1 (1)', 'cc1 (2)', 'make (77)', 'ld (3)']);
  assert.equal(place('make (77)'), before);
  introduce(['ld (3)', 'cc1 (2)']);
  assert.notEqual(colourOf('make (77)', true), colourOf('make (77)', false));
  // The same word has the same hue on every page.
  assert.equal(place('user'), 0);
  assert.notEqual(place('user'), place('system'));
});

test('who is seen together has different colours, as long as there are enough', () => {
  const eight = Array.from({ length: PALETTE.light.length }, (_, at) => `worker (${at * 7 + 4000})`);
  introduce(eight);
  assert.equal(new Set(eight.map(place)).size, PALETTE.light.length);
  const more = [...eight, 'one more (1)'];
  introduce(more);
  assert.deepEqual(eight.map(place), more.slice(0, -1).map(place));
});

test('heat goes by lightness', () => {
  for (const dark of [false, true]) {
    const brightness = [-1, 0, 0.2, 0.4, 0.6, 0.8, 1, 7].map((value) => heat(value, dark).reduce((sum, channel) => sum + channel, 0));
    const ordered = [...brightness].sort((a, b) => (dark ? a - b : b - a));
    assert.deepEqual(brightness, ordered);
    assert.equal(brightness[0], brightness[1]);
    assert.equal(brightness.at(-1), brightness.at(-2));
  }
});
