// What the page orders of its own recorder, how keys and zones change what is shown, and the report that is one file.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { after, afterEach, before, test } from 'node:test';
import { address, assertShown, barograph, closeBrowser, folder, legend, open, readAmount, record, screenshot, stretch, table, until, view } from './barograph.mjs';

let home, run;

before(async () => {
  home = folder();
  // Recordings that are made through the page lie where the server was started.
  process.chdir(home);
  run = await record(join(home, 'job.baro'), ['-i', '100ms']);
});

afterEach(async (context) => {
  if (!context.passed) await screenshot(context.name).catch(() => undefined);
});

after(closeBrowser);

const drawn = (page) => page.locator('.panel .legend tbody tr').first().waitFor();
const state = (page) => page.locator('.header .state').innerText();

test('chosen pids and left out sources are what is recorded; Reset begins another recording with the same', async () => {
  const server = await view(folder());
  const page = await open(server.url);
  await page.locator('.start-here button').click();
  const dialog = page.locator('dialog[open]');
  await dialog.getByLabel('Where').fill('chosen');
  await dialog.getByLabel('Read every').fill('200ms');
  await dialog.getByLabel('Write to disk every').fill('1s');
  await dialog.getByLabel('Only these pids, with all below them').fill(String(process.pid));
  await dialog.getByLabel('pressure', { exact: true }).uncheck();
  await dialog.getByRole('button', { name: 'Start', exact: true }).click();
  await dialog.waitFor({ state: 'detached' });
  await drawn(page);
  const first = address(page).get('run') ?? (await until(() => address(page).get('run'), 'the run in the address'));
  await page.locator('summary[title^="The recorder"]').click();
  await page.getByRole('button', { name: /^Reset/ }).click();
  await dialog.getByRole('button', { name: 'Reset', exact: true }).click();
  await dialog.waitFor({ state: 'detached' });
  await until(() => ![undefined, first].includes(address(page).get('run')), 'another run');
  await drawn(page);
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await until(async () => /ended/.test(await state(page)), 'ended');
  const made = readdirSync(home).filter((name) => name.startsWith('chosen'));
  assert.equal(made.length, 2, `two recordings are among ${readdirSync(home)}`);
  for (const name of made) {
    const path = join(home, name);
    assert.ok(!readdirSync(path).includes('pressure'), 'pressure is left out');
    const pids = new Set((await table(path, 'process')).map((row) => row.pid));
    assert.ok(pids.has(process.pid) && !pids.has(1), `${[...pids]} are the tests and what is below them`);
  }
  await page.done();
  await server.stop();
});

test('W A S D zoom and move, and the ruler goes along', async () => {
  const server = await view(run);
  const page = await open(`${server.url}#zone=UTC`);
  await drawn(page);
  const labels = () => page.locator('.ruler-tick').allInnerTexts().then((all) => all.map((each) => each.trim()));
  const all = await labels();
  const seconds = (label) => label.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
  const step = (said) => seconds(said[1]) - seconds(said[0]);
  // The address follows once the view holds still: each zoom is waited for, so that the last is known.
  let was = null;
  for (const _ of [1, 2, 3, 4]) {
    const before_ = was;
    await page.keyboard.press('w');
    was = await until(() => {
      const now = stretch(page);
      return now !== null && (before_ === null || now.length < before_.length * 0.75) && now;
    }, 'a shorter stretch');
  }
  const near = await until(async () => {
    const said = await labels();
    return said.length > 1 && step(said) < step(all) && said;
  }, 'finer ticks');
  await page.keyboard.press('d');
  await until(() => stretch(page).from > was.from, 'later');
  await until(async () => seconds((await labels())[0]) > seconds(near[0]), 'later ticks');
  const right = stretch(page);
  assert.ok(Math.abs(right.length - was.length) <= 1, 'moving zooms nothing');
  await page.keyboard.press('a');
  await page.keyboard.press('a');
  await until(() => stretch(page).from < right.from, 'earlier');
  for (const _ of [1, 2, 3, 4, 5, 6]) await page.keyboard.press('s');
  await until(async () => (await labels()).join() === all.join(), 'all of it');
  await page.done();
  await server.stop();
});

test('a zone is found by a name that browsers list under another', async () => {
  const server = await view(run);
  const page = await open(`${server.url}#zone=UTC`);
  await drawn(page);
  for (const [name, offset] of [['Asia/Kolkata', '+05:30'], ['Asia/Calcutta', '+05:30'], ['Asia/Kathmandu', '+05:45']]) {
    await page.locator('.zone-menu summary').click();
    await page.getByLabel('Search zones').fill(name);
    await page.locator(`.zone-menu .found button:has-text("${name}")`).first().click();
    await until(async () => (await page.locator('.ruler-zone').innerText()) === offset, name);
  }
  await page.done();
  await server.stop();
});

test('the report in one file, opened without a server, has the same numbers and nothing that can’t work', async () => {
  const file = join(home, 'report.html');
  await barograph('report', run, '--html', file);
  const job = await table(run, 'job');
  const page = await open(`${pathToFileURL(file)}#zone=UTC`);
  await drawn(page);
  const memory = await legend(page, 'memory-by-process');
  const sum = memory.rows.find((row) => row.name === 'total') ?? memory.rows[0];
  assertShown(readAmount(sum.peak, memory.unit), Math.max(...job.map((row) => row.resident_bytes ?? 0)), 'peak memory of the job');
  const server = await view(run);
  const served = await open(`${server.url}#zone=UTC`);
  await drawn(served);
  const online = await legend(served, 'memory-by-process');
  const named = ({ rows }) => rows.filter(({ name }) => name !== 'others').map(({ name, mean, peak }) => ({ name, mean, peak }));
  assert.deepEqual(named(memory), named(online));
  // Of all charts and cards: means and totals are those of the rows, not of what was thinned.
  const panels = await served.locator('[data-panel]').evaluateAll((all) => all.map((each) => each.dataset.panel));
  for (const panel of panels) {
    for (const where of [page, served]) {
      await where.locator(`[data-panel="${panel}"]`).scrollIntoViewIfNeeded();
      await where.locator(`[data-panel="${panel}"] .legend tbody tr`).first().waitFor();
    }
    // Others of a report are added up from what was kept of each.
    const told = async (where) => (await legend(where, panel)).rows.filter(({ name }) => name !== 'others').map(({ name, mean, peak }) => ({ name, mean, peak }));
    assert.deepEqual(await told(page), await told(served), panel);
  }
  const cards = (where) => until(async () => {
    const said = await where.locator('.card').allInnerTexts();
    return said.every((text) => /peak/.test(text)) && said;
  }, 'figures on the cards');
  assert.deepEqual(await cards(page), await cards(served));
  assert.equal(await page.getByRole('button', { name: /Mark…|Start recording|Snapshot|Stop/ }).count(), 0);
  assert.equal(await page.locator('summary[title^="Events"]').count(), 0);
  await page.done();
  await served.done();
  await server.stop();
});
