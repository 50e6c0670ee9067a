// Lines and stacked areas on a surface: uPlot draws the data, and everything else (axes, limits, gaps, cursor) is HTML around it.
import uPlot from 'uplot';
import { useContext, useEffect, useRef } from 'preact/hooks';
import { dark, view } from '../state.ts';
import type { Stretch } from '../time.ts';
import { carry, forget, pace } from './pace.ts';
import type { Column } from './series.ts';
import { Width } from './surface.tsx';

export interface Trace {
  colour: string;
  /** Another line's place among the columns, up to which the room is filled; or to zero; or nothing. */
  fill: 'zero' | 'none';
  width: number;
  dash?: number[];
  faded: boolean;
}

/** A band between two columns. */
export interface Band { low: number; high: number; colour: string; faded: boolean }

export interface Picture {
  x: number[];
  columns: Column[];
  /** For each column; null for one that is only the edge of a band. */
  traces: (Trace | null)[];
  bands: Band[];
  low: number;
  high: number;
}

/** Mixes two colours of the form #rrggbb; 0 is all of the first. */
export function mix(one: string, other: string, part: number): string {
  const channel = (colour: string, place: number): number => parseInt(colour.slice(1 + place * 2, 3 + place * 2), 16);
  return `#${[0, 1, 2].map((place) => Math.round(channel(one, place) * (1 - part) + channel(other, place) * part).toString(16).padStart(2, '0')).join('')}`;
}

/** The ground that colours are mixed with; as in page.css. */
export const ground = (): string => (dark.value ? '#12151a' : '#ffffff');

export function Plot({ picture, height, visible }: { picture: Picture; height: number; visible: boolean }) {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const now = useRef(picture);
  /** What the canvas shows. */
  const drawn = useRef<{ of: Stretch; picture: Picture | null }>({ of: view.peek(), picture: null });
  // What uPlot can't change in a plot that is there: how many series there are, and what lies between them.
  const shape = `${picture.traces.map((trace) => (trace ? trace.fill[0] + (trace.dash?.join('-') ?? '') + trace.width : '.')).join('')}|${picture.bands.map(({ low, high }) => `${low}.${high}`).join()}`;
  const width = useContext(Width);
  const wide = width.value;

  // Not before the plot is made anew whose shape it has: a frame may come between the two.
  useEffect(() => {
    now.current = picture;
  }, [picture]);

  useEffect(() => {
    const { traces, bands } = now.current;
    const made = new uPlot(
      {
        width: Math.max(1, width.peek()),
        height,
        padding: [0, 0, 0, 0],
        legend: { show: false },
        cursor: { show: false },
        select: { show: false, left: 0, top: 0, width: 0, height: 0 },
        scales: {
          x: { time: false, auto: false, range: () => [view.peek().from, view.peek().to] },
          y: { auto: false, range: () => [now.current.low, now.current.high] },
        },
        axes: [{ show: false }, { show: false }],
        series: [
          {},
          ...traces.map((trace, at): uPlot.Series => {
            if (!trace) return { stroke: 'transparent', width: 0, points: { show: false } };
            const current = (): Trace => now.current.traces[at] ?? trace;
            const stroke = (): string => colourOf(current(), true);
            return {
              width: trace.width,
              dash: trace.dash,
              stroke,
              fill: trace.fill === 'zero' ? () => colourOf(current(), false) : undefined,
              fillTo: 0,
              points: { show: true, size: 4, width: 0, fill: stroke, stroke, filter: (_, series) => alone(now.current.columns[series - 1] ?? []) },
            };
          }),
        ],
        bands: bands.map(({ low, high }, at) => ({ series: [high + 1, low + 1] as [number, number], fill: () => bandColour(now.current.bands[at] ?? bands[at]!) })),
      },
      [now.current.x, ...now.current.columns] as uPlot.AlignedData,
      element.current!,
    );
    plot.current = made;
    drawn.current = { of: view.peek(), picture: now.current };
    return () => {
      plot.current = null;
      made.destroy();
    };
  }, [shape, height]);

  const { from, to } = view.value;
  useEffect(() => {
    if (wide > 0) plot.current?.setSize({ width: wide, height });
  }, [wide, height]);

  // What is not on the screen is drawn when it comes there.
  useEffect(() => {
    const canvas = plot.current?.ctx.canvas;
    if (!visible || !canvas) return;
    carry(canvas, drawn.current.of, { from, to }, wide);
    pace(element, () => {
      const made = plot.current;
      if (!made) return;
      const isNew = drawn.current.picture !== now.current;
      drawn.current = { of: view.peek(), picture: now.current };
      const { of } = drawn.current;
      if (isNew) made.setData([now.current.x, ...now.current.columns] as uPlot.AlignedData, true);
      else made.setScale('x', { min: of.from, max: of.to });
      made.ctx.canvas.style.transform = '';
    });
  }, [picture, from, to, wide, visible]);
  useEffect(() => () => forget(element), []);

  return <div ref={element} class="plot" aria-hidden="true" />;
}

function colourOf({ colour, fill, faded }: Trace, strong: boolean): string {
  const solid = fill === 'zero' && !strong ? mix(colour, ground(), 0.16) : colour;
  return faded ? mix(solid, ground(), 0.78) : solid;
}

function bandColour({ colour, faded }: Band): string {
  return `${colour}${faded ? '0a' : '30'}`;
}

/** The places of points that have no neighbour to draw a line to. */
function alone(column: Column): number[] {
  const found: number[] = [];
  const known = (from: number, step: number): boolean => {
    let at = from;
    while (at >= 0 && at < column.length && column[at] === undefined) at += step;
    return column[at] != null;
  };
  for (let at = 0; at < column.length; at += 1) if (column[at] != null && !known(at - 1, -1) && !known(at + 1, 1)) found.push(at);
  return found;
}
