// A row of coloured cells for each line, such as for cores.
import { useLayoutEffect, useRef } from 'preact/hooks';
import { heat } from '../colours.ts';
import { dark } from '../state.ts';
import type { Drawn } from './series.ts';
import { useSheet } from './sheet.ts';

export function Heat({ lines, highest, height, faded, visible }: { lines: Drawn[]; highest: number; height: number; visible: boolean; faded: (identity: string) => boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { on: { from, to }, wide } = useSheet();
  const isDark = dark.value;
  useLayoutEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context || wide < 1 || !visible) return;
    const ratio = devicePixelRatio || 1;
    context.canvas.width = Math.round(wide * ratio);
    context.canvas.height = Math.round(height * ratio);
    const row = context.canvas.height / Math.max(1, lines.length);
    const across = context.canvas.width;
    // Rows have a hairline between them where there is room for one.
    const line = row >= 6 * ratio ? Math.max(1, Math.round(ratio)) : 0;
    lines.forEach(({ line: { x }, mean, offset, identity }, at) => {
      const top = Math.round(at * row);
      const tall = Math.round((at + 1) * row) - top - line;
      context.globalAlpha = faded(identity) ? 0.25 : 1;
      const spacing = x.length > 1 ? (x[x.length - 1]! - x[0]!) / (x.length - 1) : 1000;
      let color = '';
      let start = 0;
      let end = 0;
      const flush = (): void => {
        if (color && end > start) {
          context.fillStyle = color;
          context.fillRect(start, top, end - start, tall);
        }
      };
      for (let place = 0; place < x.length; place += 1) {
        const value = mean[place]!;
        if (Number.isNaN(value)) continue;
        const after = x[place]! + offset;
        // A value is of the time up to its row, or around the middle of its bucket.
        const before = place > 0 ? Math.max(after - 1.5 * spacing, x[place - 1]! + offset) : after - spacing;
        const shift = lines[at]!.line.min ? spacing / 2 : 0;
        const left = Math.round(((before + shift - from) / (to - from)) * across);
        const right = Math.round(((after + shift - from) / (to - from)) * across);
        if (right < 0 || left > across) continue;
        const [red, green, blue] = heat(highest > 0 ? value / highest : 0, isDark);
        const now = `rgb(${red} ${green} ${blue})`;
        if (now === color && left <= end) end = right;
        else {
          flush();
          color = now;
          start = left;
          end = right;
        }
      }
      flush();
    });
  }, [lines, highest, height, from, to, wide, isDark, faded, visible]);
  return <canvas ref={canvas} class="heat" aria-hidden="true" style={{ width: '100%', height: `${height}px` }} />;
}
