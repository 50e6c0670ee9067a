// The live machine, a run in progress, several runs, and orders: through the page, with what it says checked against what was written.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { address, assertShown, closeBrowser, folder, JOB, legend, open, readAmount, record, screenshot, recording, table, until, view } from './barograph.mjs';

let home, server;

before(async () => {
  home = folder();
  // Recordings that are made through the page lie where the server was started.
  process.chdir(home);
  server = await view(home);
});

afterEach(async (context) => {
  if (!context.passed) await screenshot(context.name).catch(() => undefined);
});

after(async () => {
  await closeBrowser();
  await server?.stop();
});

const state = (page) => page.locator('.header .state').innerText();
const drawn = (page) => page.locator('.panel .legend tbody tr').first().waitFor();

/** Flags that lie on each other are one: only those are shown whose names have this. */
const only = (page, text) => page.getByLabel('Show only spans and events whose name has this').fill(text);

/** The last time that there is data of, as the foot of the page says it. */
const end = (page) => page.locator('.overview-says span').last().innerText();

test('the machine without a run invites to record; started through the page the curve moves; marked, stopped, and opened again offline', async () => {
  const page = await open(`${server.url}#zone=UTC`);
  await page.locator('.start-here').waitFor();
  assert.match(await page.locator('.start-here').innerText(), /Start recording[\s\S]*barograph run -- COMMAND/);
  assert.match(await state(page), /not recorded/);
  await drawn(page);

  await page.locator('.start-here button').click();
  const dialog = page.locator('dialog[open]');
  await dialog.getByLabel('Where').fill('through-the-page');
  await dialog.getByLabel('Read every').fill('often');
  assert.ok(await dialog.getByRole('button', { name: 'Start', exact: true }).isDisabled());
  await dialog.getByLabel('Read every').fill('200ms');
  await dialog.getByLabel('Write to disk every').fill('1s');
  await dialog.getByRole('button', { name: 'Start', exact: true }).click();
  await until(async () => /recording/.test(await state(page)) && !/not recorded/.test(await state(page)), 'recording');
  await page.locator('.start-here').waitFor({ state: 'detached' });
  await drawn(page);

  // The curve moves.
  const first = await end(page);
  await until(async () => (await end(page)) > first, 'a later end');
  const path = join(home, readdirSync(home).find((name) => name.startsWith('through-the-page')));

  // Marked now, with what is to be read back from the recording.
  await page.keyboard.press('m');
  await page.locator('dialog[open]').getByLabel('Name').fill('half way');
  await page.locator('dialog[open]').getByRole('button', { name: 'Mark' }).click();
  await page.locator('dialog[open]').waitFor({ state: 'detached' });
  await only(page, 'half');
  await page.locator('.flag[aria-label="Event half way"]').waitFor();

  await page.getByRole('button', { name: 'Snapshot' }).click();
  await until(async () => /read now/.test(await page.locator('.orders [role=status]').innerText()), 'a snapshot');
  assert.equal(await page.locator('.orders [role=alert]').count(), 0);

  // Other settings while it goes on.
  await page.locator('summary[title^="The recorder"]').click();
  await page.getByRole('button', { name: 'Change settings…' }).click();
  await page.locator('dialog[open]').getByLabel('Read every').fill('500ms');
  await page.locator('dialog[open]').getByRole('button', { name: 'Change', exact: true }).click();
  await page.locator('dialog[open]').waitFor({ state: 'detached' });
  const before_ = (await end(page));
  await until(async () => (await end(page)) > before_, 'it goes on');

  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await until(async () => /ended/.test(await state(page)), 'ended');
  // Nothing is lost: what was seen is in the file.
  const events = await table(path, 'events');
  assert.ok(events.some((event) => event.name === 'half way'), 'the mark is in the recording');
  const memory = await table(path, 'memory');
  assert.ok(memory.length >= 3);
  const pids = await table(path, 'process');
  assert.ok(pids.some((row) => row.pid === 1), 'the machine, with all processes');
  const id = address(page).get('run');
  assert.ok(id);
  await page.done();

  const again = await view(path);
  const offline = await open(`${again.url}#zone=UTC`);
  await drawn(offline);
  assert.match(await state(offline), /ended/);
  await only(offline, 'half');
  await offline.locator('.flag[aria-label="Event half way"]').waitFor();
  await offline.done();
  await again.stop();
});

test('an event is added to the recording itself, at the date and time that were picked', async () => {
  const path = await record(join(home, 'events.baro'), ['-i', '100ms'], [...JOB, '1']);
  const own = await view(path);
  const page = await open(`${own.url}#zone=UTC`);
  await drawn(page);
  const job = await table(path, 'job');
  const noon = job[Math.floor(job.length / 2)].time;
  await page.keyboard.press('m');
  const dialog = page.locator('dialog[open]');
  await dialog.getByLabel('Name').fill('seen later');
  await dialog.getByLabel('Date').fill(noon.slice(0, 10));
  await dialog.getByLabel('Time').fill(noon.slice(11, 23));
  await dialog.getByRole('button', { name: 'Mark' }).click();
  await dialog.waitFor({ state: 'detached' });
  await only(page, 'seen');
  const flag = page.locator('.flag[aria-label="Event seen later"]');
  await flag.waitFor();
  const written = (await table(path, 'events')).find((event) => event.name === 'seen later');
  assert.ok(written, 'it is in the recording');
  assert.equal(written.time.slice(0, 23), noon.slice(0, 23));
  assert.equal(written.by, 'person');
  await page.done();
  await own.stop();
});

test('an event of a recording is changed and deleted in the recording itself', async () => {
  const path = await record(join(home, 'revised.baro'), ['-i', '100ms'], [...JOB, '1']);
  const own = await view(path);
  const page = await open(`${own.url}#zone=UTC`);
  await drawn(page);
  const dialog = page.locator('dialog[open]');
  await only(page, 'loaded');
  await page.locator('.flag[aria-label="Event loaded"]').click();
  await page.locator('[data-detail=event] button:has-text("Edit")').click();
  await dialog.getByLabel('Name').fill('seen better');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  await only(page, 'seen');
  await page.locator('.flag[aria-label="Event seen better"]').waitFor();
  await page.locator('.flag[aria-label="Event seen better"]').click();
  await page.locator('[data-detail=event] button:has-text("Delete")').click();
  await page.locator('.flag[aria-label="Event seen better"]').waitFor({ state: 'detached' });
  await page.reload();
  await drawn(page);
  assert.equal(await page.locator('.flag[aria-label^="Event seen"]').count(), 0);
  assert.ok(!(await table(path, 'events')).some((event) => /seen|loaded/.test(event.name)), 'the recording tells it no more');
  await page.done();
  await own.stop();
});

test('a run that is still growing is followed; it is held, followed again, and ends', async () => {
  const path = join(home, 'growing.baro');
  const job = recording(path, ['-i', '200ms', '-w', '1s'], ['sh', '-c', 'while :; do sleep 0.2; done']);
  await until(() => existsSync(join(path, 'recording.json')) && existsSync(join(path, 'job')), 'a recording');
  const own = await view(path);
  const page = await open(`${own.url}#zone=UTC`);
  await drawn(page);
  assert.match(await state(page), /recording/);
  const first = await end(page);
  await until(async () => (await end(page)) > first, 'growth');
  // Held still: what is looked at stays, though the run grows.
  await page.locator('body').click({ position: { x: 640, y: 4 } });
  await page.keyboard.press(' ');
  await page.getByRole('button', { name: 'Follow' }).waitFor();
  await page.getByRole('button', { name: 'Follow' }).click();
  await page.getByRole('button', { name: 'Follow' }).waitFor({ state: 'detached' });
  await job.stop();
  await until(async () => /ended/.test(await state(page)), 'its end');
  const rows = await table(path, 'job');
  const memory = await legend(page, 'memory-by-process');
  assertShown(readAmount((memory.rows.find((row) => row.name === 'total') ?? memory.rows[0]).peak, memory.unit), Math.max(...rows.map((row) => row.resident_bytes ?? 0)), 'peak memory at the end');
  await page.done();
  await own.stop();
  rmSync(path, { recursive: true });
});

test('a run of somebody else is listed while it goes on, and can be stopped through the page', async () => {
  const path = join(home, 'elsewhere.baro');
  const job = recording(path, ['-i', '200ms', '-w', '1s'], ['sh', '-c', 'while :; do sleep 0.2; done']);
  await until(() => existsSync(join(path, 'recording.json')), 'a recording');
  const page = await open(`${server.url}#zone=UTC`);
  // Other runs in progress are those that are not shown.
  await page.locator('summary[title="Choose a run"]').click();
  await page.locator('.runs-list button:has-text("this machine")').click();
  await until(async () => /not recorded/.test(await state(page)), 'the machine');
  await page.locator('summary[title^="The recorder"]').click();
  await page.locator('.recorder li:has-text("elsewhere")').waitFor();
  await page.locator('.recorder li:has-text("elsewhere") button.link').click();
  await until(async () => /recording/.test(await state(page)) && !/not recorded/.test(await state(page)), 'it is shown');
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await until(async () => /ended/.test(await state(page)), 'ended');
  assert.match((await table(path, 'job')).at(-1).time, /^20/);
  // The recording ended; the job did not, for it is not ours.
  assert.equal(job.child.exitCode, null);
  await job.stop();
  await page.done();
});

test('runs are chosen to lie on each other, and taken away', async () => {
  const one = await record(join(home, 'one.baro'), ['-i', '100ms'], [...JOB, '1']);
  const two = await record(join(home, 'two.baro'), ['-i', '100ms'], [...JOB, '2']);
  const both = await view(one, two);
  const page = await open(both.url);
  await drawn(page);
  await page.locator('summary[title="Choose a run"]').click();
  await page.getByRole('button', { name: /Several runs/ }).click();
  const dialog = page.locator('dialog[open]');
  await until(async () => (await dialog.locator('tbody tr:not(:has(.tag)) input[type=checkbox]').count()) === 2, 'both runs are listed');
  for (const box of await dialog.locator('tbody tr:not(:has(.tag)) input[type=checkbox]').all()) if (!(await box.isChecked())) await box.check();
  for (const box of await dialog.locator('tbody tr:has(.tag) input[type=checkbox]').all()) if (await box.isChecked()) await box.uncheck();
  await page.keyboard.press('Escape');
  const difference = page.locator('.difference table');
  await difference.waitFor();
  assert.equal(await difference.locator('tbody tr').count(), 2);
  const total = page.locator('[data-panel=memory-by-process] .legend tbody tr');
  await until(async () => (await total.count()) >= 2, 'two lines');
  await page.locator('.run-chip button').last().click();
  await page.locator('.runs').waitFor({ state: 'detached' });
  await page.done();
  await both.stop();
});

test('any process of this machine is inspected as it is now', async () => {
  const page = await open(server.url);
  await drawn(page);
  await page.locator('.inspect summary').click();
  await page.getByLabel('pid to inspect').fill(String(process.pid));
  await page.locator('.inspect button[type=submit]').click();
  const rows = page.locator('.inspect .treegrid [data-row]');
  await rows.first().waitFor();
  assert.match(await page.locator('.inspect .by-command').innerText(), /barograph|node/);
  const [, processes] = /(\d+) process/.exec(await page.locator('.inspect .totals').first().innerText());
  assert.ok(Number(processes) >= 2, 'the server is below the tests');
  // One that is not there is said to be so.
  await page.getByLabel('pid to inspect').fill('4194304');
  await page.locator('.inspect button[type=submit]').click();
  await page.locator('.inspect [role=alert]').waitFor();
  // The browser says in its console that this answer was none.
  page.complaints.splice(0, page.complaints.length, ...page.complaints.filter((said) => !/status of 4\d\d/.test(said)));
  await page.done();
});
