// The report that is one file: everything it shows is in it.
import 'uplot/dist/uPlot.min.css';
import './page.css';
import { render } from 'preact';
import { App } from './app.tsx';
import { EmbeddedSource, unpack } from './embedded.ts';
import { keepPanning } from './charts/sheet.ts';
import { hear } from './keys.ts';
import { start } from './state.ts';

const part = (id: string): string => document.getElementById(id)?.textContent?.trim() ?? '';

unpack({ text: part('text'), frame: part('frame'), processes: part('processes') }).then(
  (pack) => {
    start(new EmbeddedSource(pack));
    keepPanning();
    hear();
    render(<App />, document.getElementById('page')!);
  },
  (error: unknown) => {
    document.getElementById('page')!.textContent = `This report can't be read: ${error instanceof Error ? error.message : String(error)}. It may have been cut off on its way; or this browser is older than 2023.`;
  },
);
