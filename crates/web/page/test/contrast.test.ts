// Text stands out from every ground that it stands on, in both themes: 4.5 to 1, as WCAG 2 asks.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const css = readFileSync('src/page.css', 'utf8');

function tokens(selector: string): Map<string, string> {
  const block = css.slice(css.indexOf(selector)).split('}')[0]!;
  return new Map([...block.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, name, value]) => [name!, value!]));
}

function luminance(hex: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const value = parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

for (const [theme, selector] of [['light', ':root {'], ['dark', ":root[data-theme='dark'] {"]] as const) {
  test(`text can be read in the ${theme} theme`, () => {
    const token = tokens(selector);
    const pairs = ['text', 'soft', 'faint', 'accent', 'red', 'amber', 'green'].map((text): [string, string] => [text, 'ground']);
    pairs.push(['text', 'raised'], ['soft', 'raised'], ['text', 'hover'], ['soft', 'hover'], ['text', 'red-ground'], ['text', 'amber-ground'], ['accent', 'accent-ground'], ['on-accent', 'accent']);
    for (const [text, ground] of pairs) {
      const [low, high] = [token.get(text), token.get(ground)].map((hex) => luminance(hex ?? assert.fail(`no ${text} or ${ground}`))).sort((a, b) => a - b) as [number, number];
      const contrast = (high + 0.05) / (low + 0.05);
      assert.ok(contrast >= 4.5, `${text} on ${ground}: ${contrast.toFixed(2)}`);
    }
  });
}
