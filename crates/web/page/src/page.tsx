// The page that a server sends: everything it shows comes from there.
import 'uplot/dist/uPlot.min.css';
import './page.css';
import { render } from 'preact';
import { App } from './app.tsx';
import { keepPanning } from './charts/sheet.ts';
import { hear } from './keys.ts';
import { HttpSource } from './source.ts';
import { start } from './state.ts';

start(new HttpSource());
keepPanning();
hear();
render(<App />, document.getElementById('page')!);
