// The program, its server and a browser, for the tests: recordings are made by the real program, pages are those that it serves.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
// The build of the page has installed it, from the page's lock file.
const { chromium } = createRequire(join(root, 'crates/web/page/package.json'))('playwright-core');

export const PROGRAM = resolve(process.env.BAROGRAPH ?? join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'debug/barograph'));
assert.ok(existsSync(PROGRAM), `${PROGRAM} is missing: cargo build -p barograph-cli, or say where it is by $BAROGRAPH`);
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
assert.ok(existsSync(CHROMIUM), `${CHROMIUM} is missing: apt install chromium, or say where it is by $CHROMIUM`);

/** How long anything may take on a machine that is busy. Nothing is measured by it. */
export const PATIENCE = Number(process.env.PATIENCE_SECONDS ?? 60) * 1000;

export const JOB = ['python3', join(here, 'job.py')];

/** A folder that is gone after the tests. */
export function folder() {
  const path = mkdtempSync(join(tmpdir(), 'barograph-browser-'));
  process.on('exit', () => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Runs the program to its end, and says what it wrote. */
export async function barograph(...args) {
  const { stdout } = await promisify(execFile)(PROGRAM, args, { maxBuffer: 1 << 28 });
  return stdout;
}

/** Records a job. */
export async function record(path, args = ['-i', '100ms'], job = [...JOB, '4']) {
  await barograph('run', '--quiet', ...args, '-o', path, '--', ...job);
  return path;
}

/** Rows of a table of a recording, as `barograph export` tells them. */
export async function table(path, name, ...args) {
  const text = await barograph('export', path, '--table', name, '--format', 'jsonl', '-o', '-', ...args);
  return text.split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

/** Programs that were started here: they end with the tests, also where a test failed before it ended them. */
const children = [];
const endChildren = () => children.forEach((child) => child.kill('SIGKILL'));
process.on('exit', endChildren);

/** A job that goes on; `stop` ends it by a signal and waits. */
export function recording(path, args, job) {
  const child = spawn(PROGRAM, ['run', '--quiet', ...args, '-o', path, '--', ...job], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  children.push(child);
  return { child, ended, stop: () => (child.kill('SIGTERM'), ended) };
}

/** `barograph view` on a port of its own; `stop` ends it. */
export async function view(...args) {
  const child = spawn(PROGRAM, ['view', '--json', '--port', '0', '--no-open', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  let wrong = '';
  child.stderr.on('data', (data) => (wrong += data));
  children.push(child);
  const ended = new Promise((resolve) => child.on('exit', resolve));
  const started = new Promise((resolve, reject) => {
    child.stdout.on('data', (data) => {
      said += data;
      const line = said.split('\n').find((each) => each.trim().startsWith('{'));
      if (line && said.includes('\n')) resolve(JSON.parse(line));
    });
    child.on('exit', (code) => reject(new Error(`barograph view ended with ${code}: ${wrong}`)));
  });
  const told = await started;
  return { ...told, stop: () => (child.kill('SIGTERM'), ended) };
}

let browser = null;
let current = null;

/** What the browser shows, kept for whoever reads the failure: in the folder that $SCREENSHOTS says, if it says one. */
export async function screenshot(name) {
  if (!process.env.SCREENSHOTS || !current || current.isClosed()) return;
  await current.screenshot({ path: join(process.env.SCREENSHOTS, `${name.replaceAll(/\W+/g, '-').slice(0, 60)}.png`) });
}

/** A page in a browser of its own. What the browser complains about fails the test, by `complaints`. */
export async function open(address, { width = 1280, height = 720, colorScheme = 'light', timezoneId = 'UTC', ...more } = {}) {
  browser ??= await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, timezoneId, acceptDownloads: true, ...more });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`error: ${error.stack ?? error.message}`));
  // While one works on the page: $PAGE is a folder that crates/web/page/build.mjs made, taken in place of what the program carries.
  for (const file of process.env.PAGE ? ['page.js', 'page.css'] : []) await page.route(`**/assets/${file}`, (route) => route.fulfill({ body: readFileSync(join(process.env.PAGE, file)), contentType: file.endsWith('js') ? 'text/javascript' : 'text/css' }));
  current = page;
  await page.goto(address);
  const close = async () => {
    await context.close();
    assert.deepEqual(complaints, [], 'the browser has nothing to complain about');
  };
  return Object.assign(page, { complaints, done: close });
}

export async function closeBrowser() {
  await browser?.close();
  browser = null;
  endChildren();
}

/** The page of a recording with spans, once its charts are drawn. */
export async function settled(url, options) {
  const page = await open(url, options);
  await page.locator('.panel .legend tbody tr').first().waitFor();
  // Charts lie where they stay once the spans above them are there.
  await page.locator('.slice').first().waitFor();
  return page;
}

/** Waits until `look` answers something that is not null, undefined or false, and says it. */
export async function until(look, what) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const seen = await look();
    if (seen !== null && seen !== undefined && seen !== false) return seen;
    if (Date.now() > end) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Rows that have something in common. */
export function groups(rows, key) {
  const found = new Map();
  for (const row of rows) found.set(key(row), [...(found.get(key(row)) ?? []), row]);
  return found;
}

/** A number as the page writes it; null for what is absent. */
export function readNumber(text) {
  const clean = text.replaceAll(/[\u202f\u00a0\s]/g, '').replace('−', '-').replace(/^[<>]/, '');
  return clean === '–' || clean === '' ? null : Number(clean);
}

const FACTORS = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40, cores: 1, '': 1, '%': 0.01, s: 1, ms: 1e-3, µs: 1e-6, value: 1 };

/** An amount with its unit, such as `1.25 GiB`, in base units. */
export function readAmount(text, unit = null) {
  const parts = /^([^A-Za-zµ%]*)\s*([A-Za-zµ%]*)(?:\/s)?$/.exec(text.trim());
  assert.ok(parts, `“${text}” is an amount`);
  const value = readNumber(parts[1]);
  const factor = FACTORS[(unit ?? parts[2]).replace('/s', '')];
  assert.notEqual(factor, undefined, `the unit of “${text}” ${unit ?? ''}`);
  return value === null ? null : value * factor;
}

/** Whether a shown number of three digits is that of the data. */
export function assertShown(shown, expected, what) {
  assert.ok(shown !== null && Math.abs(shown - expected) <= Math.max(Math.abs(expected) * 0.0051, 1e-9), `${what}: ${shown} is shown, ${expected} is recorded`);
}

/** The legend of a panel: its unit, and what stands in each row. */
export async function legend(page, panel) {
  return page.locator(`[data-panel="${panel}"] .legend`).evaluate((element) => ({
    unit: element.querySelector('thead th.name')?.textContent?.trim() ?? '',
    rows: [...element.querySelectorAll('tbody tr:not(.far)')].map((row) => {
      const cells = [...row.querySelectorAll('td')].map((cell) => cell.textContent?.trim() ?? '');
      return { name: cells[0] ?? '', at: cells[1] ?? '', mean: cells[2] ?? '', peak: cells[3] ?? '' };
    }),
  }));
}

/** What the address says. */
export function address(page) {
  return new Map(new URL(page.url()).hash.replace('#', '').split('&').filter(Boolean).map((part) => {
    const at = part.indexOf('=');
    return [part.slice(0, at), decodeURIComponent(part.slice(at + 1))];
  }));
}

/** The stretch that the address says is looked at. */
export function stretch(page) {
  const said = address(page).get('range');
  const [from, to] = said?.includes('..') ? said.split('..').map((each) => Date.parse(each)) : [null, null];
  return from === null ? null : { from, to, length: to - from };
}
