// What a frame costs while one looks: `node tests/browser/frames.mjs BAROGRAPH DAY.baro [--size 1920x1080] [--dash ADDRESS]`. The same actions, by the pointer, in the page of `barograph view` and, if its
// address is given, in that of bench/dash_page.py: the time to the first chart, to a zoom's end, and how long frames and the main thread's tasks take while a person pans.
// Chromium has no GPU here: the raster is done by the processor, in other threads than the page's own.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { loadavg } from 'node:os';
import { createInterface } from 'node:readline';

const { chromium } = createRequire(new URL('../../crates/web/page/package.json', import.meta.url))('playwright-core');

const [program, day, ...options] = process.argv.slice(2);
const [width, height] = (options.includes('--size') ? options[options.indexOf('--size') + 1] : '1280x720').split('x').map(Number);
const dash = options.includes('--dash') ? options[options.indexOf('--dash') + 1] : null;
/** A page built by crates/web/page/build.mjs, in place of that in the program. */
const built = process.env.PAGE;

/** Panning back and forth for so many moves of the pointer, one for each frame that the page draws. */
const MOVES = 120;

async function view(...paths) {
  const child = spawn(program, ['view', '--json', '--port', '0', '--no-open', '--read-only', ...paths], { stdio: ['ignore', 'pipe', 'ignore'] });
  const line = await new Promise((done) => createInterface(child.stdout).once('line', done));
  return { ...JSON.parse(line), end: () => new Promise((done) => child.once('exit', done) && child.kill('SIGINT')) };
}

const at = (all, part) => all.toSorted((a, b) => a - b)[Math.min(all.length - 1, Math.floor(all.length * part))] ?? NaN;
const said = (millis) => `${millis.toFixed(millis < 10 ? 1 : 0)} ms`;

/** Pans in the page itself, so that each move is a frame: the pointer goes by what the browser would send. Answers how long frames took. */
async function pan(page, surface, keys) {
  return page.evaluate(async ({ selector, moves, shift }) => {
    const element = document.querySelector(selector);
    const box = element.getBoundingClientRect();
    const y = box.top + box.height / 2;
    const say = (name, x) => element.dispatchEvent(new (name.startsWith('pointer') ? PointerEvent : MouseEvent)(name, { clientX: x, clientY: y, bubbles: true, cancelable: true, pointerId: 1, pointerType: 'mouse', button: 0, buttons: 1, shiftKey: shift, isPrimary: true, view: window }));
    element.setPointerCapture = () => undefined;
    const both = (name, x) => (say(`pointer${name}`, x), say(`mouse${name}`, x));
    const middle = box.left + box.width / 2;
    const frames = [];
    both('down', middle);
    let before = await new Promise(requestAnimationFrame);
    for (let move = 1; move <= moves; move += 1) {
      const x = middle + Math.sin((move / moves) * Math.PI * 4) * box.width * 0.3;
      if (shift) both('move', x);
      else for (const target of [element, document]) target.dispatchEvent(new MouseEvent('mousemove', { clientX: x, clientY: y, bubbles: true, buttons: 1, view: window }));
      const now = await new Promise(requestAnimationFrame);
      frames.push(now - before);
      before = now;
    }
    both('up', middle);
    if (!shift) document.dispatchEvent(new MouseEvent('mouseup', { clientX: middle, clientY: y, bubbles: true, view: window }));
    return frames;
  }, { selector: surface, moves: MOVES, shift: keys === 'shift' });
}

/** What the main thread did meanwhile, from the browser's own trace: for each kind of work the milliseconds of all of it. */
async function traced(page, act) {
  const client = await page.context().newCDPSession(page);
  const events = [];
  client.on('Tracing.dataCollected', ({ value }) => events.push(...value));
  await client.send('Tracing.start', { transferMode: 'ReportEvents', traceConfig: { includedCategories: ['devtools.timeline', 'toplevel'] } });
  const frames = await act();
  const done = new Promise((resolve) => client.once('Tracing.tracingComplete', resolve));
  await client.send('Tracing.end');
  await done;
  await client.detach();
  const main = events.find(({ name }) => name === 'FunctionCall' || name === 'FireAnimationFrame');
  const own = events.filter(({ pid, tid }) => main && pid === main.pid && tid === main.tid);
  const sum = (...names) => own.filter(({ name, ph }) => ph === 'X' && names.includes(name)).reduce((all, { tdur, dur }) => all + (tdur ?? dur) / 1e3, 0);
  // A function that calls another is counted once: outermost ones only.
  const outermost = (names) => {
    let end = -Infinity;
    let all = 0;
    for (const { ts, dur, tdur } of own.filter(({ name, ph }) => ph === 'X' && names.includes(name)).sort((a, b) => a.ts - b.ts || b.dur - a.dur)) {
      if (ts < end) continue;
      end = ts + dur;
      all += (tdur ?? dur) / 1e3;
    }
    return all;
  };
  return { frames, script: outermost(['FunctionCall', 'FireAnimationFrame', 'EventDispatch', 'TimerFire', 'RunMicrotasks', 'v8.callFunction']), layout: sum('UpdateLayoutTree', 'Layout'), paint: sum('PrePaint', 'Paint', 'Layerize', 'Commit') };
}

async function measured(name, address, { first, surface, zoom, keys, settled }) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
  const page = await browser.newPage({ viewport: { width, height } });
  page.setDefaultTimeout(300_000);
  if (built && name === 'barograph') for (const file of ['page.js', 'page.css']) await page.route(`**/assets/${file}`, (route) => route.fulfill({ body: readFileSync(`${built}/${file}`), contentType: file.endsWith('js') ? 'text/javascript' : 'text/css' }));
  let begin = performance.now();
  await page.goto(address);
  await page.waitForFunction(first);
  console.log(`${name.padEnd(10)} first chart ${said(performance.now() - begin)}; load ${loadavg()[0].toFixed(1)}`);
  await page.waitForFunction(settled);
  console.log(`${name.padEnd(10)} all charts of the first screen ${said(performance.now() - begin)}`);
  const zooms = [];
  for (let round = 0; round < 5; round += 1) {
    begin = performance.now();
    await zoom(page);
    await page.waitForFunction(settled);
    zooms.push(performance.now() - begin);
  }
  console.log(`${name.padEnd(10)} zoom, to the end of the drawing: median ${said(at(zooms, 0.5))}, slowest ${said(Math.max(...zooms))}`);
  for (const round of [1, 2, 3]) {
    const { frames, script, layout, paint } = await traced(page, () => pan(page, surface, keys));
    console.log(`${name.padEnd(10)} pan ${round}: frames median ${said(at(frames, 0.5))}, 95 % below ${said(at(frames, 0.95))}, longest ${said(Math.max(...frames))}; the main thread for each: script ${said(script / MOVES)}, style and layout ${said(layout / MOVES)}, paint ${said(paint / MOVES)}`);
    await page.waitForFunction(settled);
  }
  if (process.env.PROFILE && name === 'barograph') await profile(page, () => pan(page, surface, keys));
  await browser.close();
}

/** Which functions the time goes to: self time, the twenty highest. */
async function profile(page, act) {
  const client = await page.context().newCDPSession(page);
  await client.send('Profiler.enable');
  await client.send('Profiler.setSamplingInterval', { interval: 200 });
  await client.send('Profiler.start');
  await act();
  const { profile: { nodes, samples, timeDeltas } } = await client.send('Profiler.stop');
  const own = new Map();
  const byId = new Map(nodes.map((node) => [node.id, node]));
  samples.forEach((id, place) => {
    const { functionName, lineNumber, columnNumber, url } = byId.get(id).callFrame;
    const name = `${functionName || '?'} ${url.split('/').at(-1)}:${lineNumber}:${columnNumber}`;
    own.set(name, (own.get(name) ?? 0) + timeDeltas[place] / 1e3);
  });
  for (const [name, millis] of [...own].sort((a, b) => b[1] - a[1]).slice(0, 40)) console.log(`  ${(millis / MOVES).toFixed(2).padStart(7)} ms ${name}`);
}

const server = await view(day);
await measured('barograph', server.url, {
  first: () => document.querySelector('.panel .legend tbody tr') !== null,
  settled: () => [...document.querySelectorAll('.panel')].every((panel) => panel.getBoundingClientRect().top > innerHeight || panel.getAttribute('aria-busy') === 'false') && document.querySelectorAll('.panel[data-pending]').length === 0,
  surface: '.panel .surface',
  zoom: async (page) => {
    await page.keyboard.press('w');
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  },
  keys: 'shift',
});
await server.end();
if (dash) {
  await measured('dash', dash, {
    first: () => document.querySelector('.js-plotly-plot .scatterlayer path') !== null,
    settled: () => document.querySelectorAll('.js-plotly-plot .scatterlayer path').length > 8 && document.title !== 'Updating...' && !document.querySelector('[data-dash-is-loading=true]'),
    surface: '.js-plotly-plot .nsewdrag',
    zoom: async (page) => {
      const box = await page.locator('.js-plotly-plot .nsewdrag').first().boundingBox();
      await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
      await page.mouse.wheel(0, -240);
      await page.waitForFunction(() => document.title === 'Updating...', undefined, { timeout: 3000 }).catch(() => undefined);
    },
    keys: 'none',
  });
}
