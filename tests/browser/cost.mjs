// What looking costs: `node tests/browser/cost.mjs BAROGRAPH DAY.baro`, with the program, and a recording of a day made by the example `day` of crates/store. It prints the
// server's CPU share while nobody looks, and with a page on a run that is recorded each second; how much memory a day takes; and how long its frames take over HTTP.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const { chromium } = createRequire(new URL('../../crates/web/page/package.json', import.meta.url))('playwright-core');

const [program, day] = process.argv.slice(2);
const place = mkdtempSync(join(tmpdir(), 'barograph-cost-'));
const SECONDS = 40;
const wait = (seconds) => new Promise((done) => setTimeout(done, seconds * 1e3));

async function view(...paths) {
  const child = spawn(program, ['view', '--json', '--port', '0', '--no-open', ...paths], { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, TMPDIR: place } });
  const [line] = await new Promise((done) => createInterface(child.stdout).once('line', (text) => done([text])));
  const said = JSON.parse(line);
  const ask = async (path) => {
    const answer = await fetch(`http://127.0.0.1:${said.port}${path}`, { headers: { Authorization: `Bearer ${said.token}` } });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return Buffer.from(await answer.arrayBuffer());
  };
  const end = () => new Promise((done) => child.once('exit', done) && child.kill('SIGINT'));
  return { ...said, pid: child.pid, ask, get: async (path) => JSON.parse((await ask(path)).toString()), end };
}

/** CPU seconds so far, at 100 ticks a second. */
function cpu(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function share(pid) {
  const [before, begin] = [cpu(pid), performance.now()];
  await wait(SECONDS);
  return `${((cpu(pid) - before) / ((performance.now() - begin) / 1e3) * 100).toFixed(2)} % of a core`;
}

function memory(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name) => `${(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1]) / 1024).toFixed(0)} MiB`;
  return `RSS ${of('VmRSS')} (files ${of('RssFile')}), peak ${of('VmHWM')}`;
}

const middle = (all) => all.sort((a, b) => a - b)[Math.floor(all.length / 2)];

try {
  console.log(`load ${loadavg()[0].toFixed(1)}`);
  {
    const server = await view('--read-only', place);
    await wait(2);
    console.log(`nobody looks, --read-only          ${await share(server.pid)}, ${memory(server.pid)}`);
    await server.end();
  }
  {
    const server = await view(place);
    await wait(5);
    console.log(`nobody looks, the machine recorded ${await share(server.pid)}, ${memory(server.pid)}`);
    console.log(`  its recording after ${SECONDS + 5} s: ${execFileSync('du', ['-sk', place]).toString().split('\t')[0]} KiB`);
    await server.end();
  }
  {
    const recorder = spawn(program, ['record', '-i', '1s', '--duration', `${SECONDS + 40}s`, '-o', join(place, 'live.baro')], { stdio: 'ignore' });
    await wait(10);
    const server = await view('--read-only', join(place, 'live.baro'));
    const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
    const page = await browser.newPage();
    await page.goto(server.url);
    await wait(10);
    console.log(`a page on a live run at 1 s        ${await share(server.pid)}, ${memory(server.pid)}`);
    await browser.close();
    await server.end();
    recorder.kill('SIGINT');
    await new Promise((done) => recorder.once('exit', done));
  }
  const server = await view('--read-only', day);
  console.log(`a day, before anybody looks        ${memory(server.pid)}`);
  const id = (await server.get('/api/session')).first;
  const begin = performance.now();
  const run = await server.get(`/api/runs/${id}`);
  console.log(`  opened in ${(performance.now() - begin).toFixed(0)} ms: ${run.tables.map((table) => table.rows).reduce((sum, rows) => sum + rows, 0).toLocaleString('en')} rows, ${memory(server.pid)}`);
  const shown = run.panels.filter((panel) => panel.shown);
  for (const [name, length] of [['a day', run.to - run.from], ['an hour', 3_600_000], ['10 minutes', 600_000]]) {
    const times = [];
    const slowest = { panel: '', millis: 0 };
    for (let round = 0; round < 3; round += 1) {
      const from = run.from + ((run.to - run.from - length) / 3) * round;
      for (const panel of shown) {
        const query = encodeURIComponent(JSON.stringify({ from, to: from + length, buckets: 1000, specs: panel.specs }));
        const begin = performance.now();
        await server.ask(`/api/runs/${id}/frame?q=${query}`);
        const millis = performance.now() - begin;
        times.push(millis);
        if (millis > slowest.millis) Object.assign(slowest, { panel: panel.id, millis });
      }
    }
    console.log(`  ${name.padEnd(10)} ${shown.length} panels one by one: median ${middle(times).toFixed(1)} ms, slowest ${slowest.millis.toFixed(0)} ms (${slowest.panel})`);
  }
  const moments = [];
  for (let round = 1; round < 8; round += 1) {
    const begin = performance.now();
    await server.get(`/api/runs/${id}/processes?at=${run.from + ((run.to - run.from) / 8) * round}`);
    moments.push(performance.now() - begin);
  }
  console.log(`  processes of a moment: median ${middle(moments).toFixed(1)} ms; ${memory(server.pid)}`);
  await server.end();
} finally {
  rmSync(place, { recursive: true, force: true });
}
