// Lines and stacked areas on a surface: uPlot draws the data, and everything else (axes, limits, gaps, cursor) is HTML around it.
import uPlot from 'uplot';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { dark } from '../state.ts';
import { forget, pace } from './pace.ts';
import type { Column } from './series.ts';
import { useSheet } from './sheet.ts';

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
  const drawn = useRef<Picture | null>(null);
  // What uPlot can't change in a plot that is there: how many series there are, and what lies between them.
  const shape = `${picture.traces.map((trace) => (trace ? trace.fill[0] + (trace.dash?.join('-') ?? '') + trace.width : '.')).join('')}|${picture.bands.map(({ low, high }) => `${low}.${high}`).join()}`;
  const { on, wide } = useSheet();
  const stretch = useRef(on);

  useLayoutEffect(() => {
    now.current = picture;
    stretch.current = on;
  });

  useLayoutEffect(() => {
    const { traces, bands } = now.current;
    const made = new uPlot(
      {
        width: Math.max(1, wide),
        height,
        padding: [0, 0, 0, 0],
        legend: { show: false },
        cursor: { show: false },
        select: { show: false, left: 0, top: 0, width: 0, height: 0 },
        scales: {
          x: { time: false, auto: false, range: () => [stretch.current.from, stretch.current.to] },
          // A pixel of room below, so that zero is a line that is seen, and not only none.
          y: { auto: false, range: () => [now.current.low - (now.current.high - now.current.low) / height, now.current.high] },
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
    drawn.current = now.current;
    return () => {
      plot.current = null;
      made.destroy();
    };
  }, [shape, height]);

  const draw = (): void => {
    const made = plot.current;
    if (!made) return;
    if (made.width !== wide || made.height !== height) made.setSize({ width: Math.max(1, wide), height });
    if (drawn.current !== now.current) made.setData([now.current.x, ...now.current.columns] as uPlot.AlignedData, true);
    else made.setScale('x', { min: stretch.current.from, max: stretch.current.to });
    drawn.current = now.current;
  };

  // The canvas is drawn with all else on the sheet, so that they don't part; what is not on the screen is drawn when it comes there.
  useLayoutEffect(() => {
    if (visible) draw();
  }, [on.from, on.to, wide, visible]);
  useLayoutEffect(() => {
    if (visible) pace(element, () => drawn.current !== now.current && draw());
  }, [picture, visible]);
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
