// Several runs in one page: laid on each other or side by side, aligned by start, by clock and by a span; figures, gaps, spans, selection and differences are of all of them, and equal what was recorded.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { address, assertShown, closeBrowser, folder, JOB, open, readAmount, readNumber, record, recording, screenshot, stretch, table, until, view } from './barograph.mjs';

/** The second run takes more memory than the first, so that a scale of both is not that of one. */
const LARGER = ['sh', '-c', `python3 -c 'import time; kept = bytearray(b"x") * (160 << 20); time.sleep(1)' & ${JOB.map((word) => JSON.stringify(word)).join(' ')} 2; wait`];

let home, server, one, two;
/** Of each run what it recorded, by its id. */
const recorded = new Map();

before(async () => {
  home = folder();
  [one, two] = await Promise.all([record(join(home, 'one.baro'), ['-i', '100ms'], [...JOB, '1']), record(join(home, 'two.baro'), ['-i', '100ms'], LARGER)]);
  server = await view('--read-only', one, two);
  const { runs } = await (await fetch(`http://127.0.0.1:${server.port}/api/session`, { headers: { authorization: `Bearer ${server.token}` } })).json();
  for (const { id, path } of runs) recorded.set(id, { job: await table(path, 'job'), spans: await table(path, 'spans'), from: Date.parse((await table(path, 'memory'))[0].time), name: path.includes('one') ? 'one' : 'two' });
});

afterEach(async (context) => {
  if (!context.passed) await screenshot(context.name).catch(() => undefined);
});

after(async () => {
  await closeBrowser();
  await server?.stop();
});

const ids = () => [...recorded].sort(([, a], [, b]) => a.name.localeCompare(b.name)).map(([id]) => id);
const peak = (id) => Math.max(...recorded.get(id).job.map((row) => row.resident_bytes ?? 0));

async function show(hash = '', options = {}) {
  const page = await open(`${server.url}#zone=UTC&run=${ids().join()}${hash}`, options);
  await page.locator('.panel .legend tbody tr').first().waitFor();
  await page.locator('.difference table').waitFor();
  await page.locator('.slice').first().waitFor();
  return page;
}

const column = (page, id, panel = 'memory-by-process') => page.locator(`[data-panel="${panel}"][data-run="${id}"]`);

/** The rows of a legend, as the page tells them, once it has some. */
async function rows(panel) {
  await panel.scrollIntoViewIfNeeded();
  await panel.locator('.legend tbody tr').first().waitFor();
  return panel.locator('.legend').evaluate((legend) => ({
    unit: legend.querySelector('thead th.name').textContent.trim(),
    rows: [...legend.querySelectorAll('tbody tr:not(.far)')].map((row) => [...row.querySelectorAll('td')].map((cell) => cell.textContent.trim())),
  }));
}

test('side by side each run has a column, by one scale, with its own numbers; cursor and zoom are those of all', async () => {
  const page = await show();
  await page.getByRole('group', { name: 'How runs are drawn' }).getByRole('button', { name: 'side by side' }).click();
  await until(() => address(page).get('runs') === 'side', 'it stands in the address');
  for (const id of ids()) {
    const said = await rows(column(page, id));
    assertShown(readAmount(said.rows.find(([name]) => name === 'total')[3], said.unit), peak(id), `peak memory of ${recorded.get(id).name}`);
  }
  const ticks = await Promise.all(ids().map((id) => column(page, id).locator('.tick').allInnerTexts()));
  assert.deepEqual(ticks[0], ticks[1], 'both have one scale');
  // A cursor in one column is at the same time in the other.
  const surface = column(page, ids()[1]).locator('.surface');
  const box = await surface.boundingBox();
  await page.mouse.move(box.x + box.width * 0.3, box.y + box.height / 2);
  const at = await until(async () => {
    const all = await Promise.all(ids().map((id) => column(page, id).locator('.marks > .cursor').evaluateAll((lines) => lines.map((line) => line.style.left))));
    return all.flat().length === 2 && all.flat();
  }, 'a cursor in each');
  assert.equal(at[0], at[1]);
  for (const id of ids()) assert.match(await column(page, id).locator('thead').innerText(), /at cursor/);
  // A zoom in one is one in all: the rulers of both columns say the same.
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + box.height / 2, { steps: 4 });
  await page.mouse.up();
  await until(() => stretch(page), 'a stretch');
  const rulers = await page.locator('.ruler .column').evaluateAll((all) => all.map((each) => [...each.querySelectorAll('.ruler-tick')].map((tick) => tick.textContent.trim())));
  assert.equal(rulers.length, 2);
  assert.ok(rulers[0].length > 0);
  assert.deepEqual(rulers[0], rulers[1]);
  await page.getByRole('button', { name: 'overlay' }).click();
  await until(async () => (await page.locator('[data-panel="memory-by-process"]').count()) === 1, 'one chart of both');
  await page.done();
});

test('cards, the curve of all, and a selection tell of each run', async () => {
  const page = await show();
  const card = page.locator('.card', { has: page.getByText('Memory', { exact: true }) });
  await until(async () => /A: peak.*B: peak/.test((await card.getAttribute('title')) ?? ''), 'figures of both');
  const said = (await card.getAttribute('title')).split(';').slice(0, 2);
  ids().forEach((id, at) => {
    const [, letter, shown] = /^\s*([AB]): peak ([\d.\s\u202f]+ \w+)/.exec(said[at]);
    assert.equal(letter, 'AB'[at]);
    assertShown(readAmount(shown), peak(id), `peak memory of ${letter}`);
  });
  assert.deepEqual(await page.locator('.overview .run-letter').allInnerTexts(), ['A', 'B']);
  const box = await page.locator('[data-panel] .surface').first().boundingBox();
  await page.keyboard.down('Alt');
  await page.mouse.move(box.x + 1, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width - 1, box.y + box.height / 2, { steps: 4 });
  await page.mouse.up();
  await page.keyboard.up('Alt');
  for (const id of ids()) {
    const row = page.locator(`.selection-body[data-run="${id}"] tr:has(th:text-is("Memory")) td`);
    await row.first().waitFor();
    const cells = await row.allInnerTexts();
    assertShown(readAmount(cells[2]), peak(id), 'its peak is in the stretch');
  }
  await page.done();
});

test('the differences are those of the recordings', async () => {
  const page = await show();
  const [names, ...runs] = await page.locator('.difference tr').evaluateAll((all) => all.map((row) => [...row.children].map((cell) => cell.firstChild?.textContent?.trim() ?? '')));
  const shares = await page.locator('.difference tbody tr').last().locator('td').evaluateAll((all) => all.map((cell) => cell.querySelector('.by')?.textContent ?? ''));
  const cell = (run, name) => runs[run][names.indexOf(name)];
  ids().forEach((id, at) => {
    const { job } = recorded.get(id);
    // What the kernel told at the end is a little more than the last reading.
    const { totals } = JSON.parse(readFileSync(join(home, `${recorded.get(id).name}.baro`, 'recording.json'), 'utf8')).end;
    const last = job.findLast((row) => row.user_seconds !== null);
    assert.ok(totals.user_seconds + totals.system_seconds >= (last.user_seconds + last.system_seconds) * 0.999);
    assertShown(readAmount(cell(at, 'CPU time')), totals.user_seconds + totals.system_seconds, `CPU of ${recorded.get(id).name}`);
    assertShown(readAmount(cell(at, 'written')), totals.written_bytes, `what ${recorded.get(id).name} wrote`);
    assertShown(readAmount(cell(at, 'wall time')), totals.wall_seconds, `how long ${recorded.get(id).name} took`);
    assert.ok(readAmount(cell(at, 'peak memory')) >= peak(id) * 0.995, 'the peak is no less than that of the rows');
  });
  const [first, other] = [0, 1].map((run) => readAmount(cell(run, 'CPU time')));
  const share = shares[names.indexOf('CPU time') - 1];
  const expected = other / first - 1;
  const said = share.startsWith('×') ? readNumber(share.slice(1)) - 1 : readNumber(share.replace('+', '').replace('%', '')) / 100;
  // Both were rounded to three digits.
  assert.ok(Math.abs(said - expected) <= 0.011 * (1 + Math.abs(expected)), `${share} is said of ${first} and ${other}`);
  await page.done();
});

test('runs are aligned by their starts, by the clock, and by a span that both have', async () => {
  const page = await show('&runs=side');
  const begins = ids().map((id) => recorded.get(id).from);
  const ends = () => page.locator('.overview-says span').allInnerTexts();
  const clock = (time) => new Date(time).toISOString().replace('T', ' ').slice(0, 19);
  const isNear = (text, time) => [-1000, 0, 1000].some((by) => text.includes(clock(time + by)));
  const load = (id) => page.locator(`.lanes [data-column="${id}"] .slice[aria-label="Span load"]`);
  const left = async (id) => {
    await load(id).waitFor();
    const [slice, surface] = await load(id).evaluate((element) => [element.getBoundingClientRect(), element.closest('.surface').getBoundingClientRect()].map(({ left, width }) => ({ left, width })));
    return (slice.left - surface.left) / surface.width;
  };
  assert.ok(isNear((await ends())[0], begins[0]), 'times are those of the first run');
  await page.locator('.aligning select').selectOption('span:load');
  await until(() => address(page).get('align') === 'span:load', 'the span in the address');
  await until(async () => Math.abs((await left(ids()[0])) - (await left(ids()[1]))) < 0.004, 'the spans begin at one place');
  await page.locator('.aligning select').selectOption('clock');
  await until(async () => isNear((await ends())[0], Math.min(...begins)), 'the first of both begins the axis');
  // By the clock a span is where the clock says.
  const says = ids().map((id) => Date.parse(recorded.get(id).spans.find(({ name }) => name === 'load').time));
  await until(async () => {
    const length = await page.getByRole('slider', { name: 'End of what is looked at' }).evaluate((edge) => Number(edge.ariaValueMax) - Number(edge.ariaValueMin));
    return Math.abs((await left(ids()[1])) - (await left(ids()[0])) - (says[1] - says[0]) / length) < 0.004;
  }, 'spans as far from each other as the clock says');
  await page.done();
});

test('another run is made the first: head and processes are of it', async () => {
  const page = await show();
  await page.locator('.run-chip button.link', { hasText: 'two' }).click();
  await until(() => address(page).get('run') === ids().toReversed().join(), 'its place in the address');
  await until(async () => /job\.py"? 2/.test(await page.locator('.header .run-name').innerText()), 'its command at the head');
  const pids = new Set((await table(two, 'processes')).map((row) => row.pid));
  const shown = await until(async () => {
    const all = (await page.locator('.instant [data-row] [data-column=pid]').allTextContents()).map(Number);
    return all.length > 0 && all.every((pid) => pids.has(pid)) && all;
  }, 'its processes');
  assert.ok(shown.length > 0);
  await page.done();
});

test('an event of another run than the first says why it is not changed there, and is changed once its run is the first', async () => {
  const page = await show();
  await page.getByLabel('Show only spans and events whose name has this').fill('loaded');
  const lane = (of) => page.locator('.lanes .time-row', { has: page.locator('.gutter .run-letter', { hasText: of }) });
  await lane('B').locator('.flag[aria-label="Event loaded"]').click();
  const detail = page.locator('[data-detail=event]');
  for (const name of ['Edit…', 'Delete']) assert.ok(await detail.getByRole('button', { name }).isDisabled(), `${name} can’t be pressed`);
  assert.match(await detail.innerText(), /It is of run B\. Events are changed in the run that is first/);
  await detail.getByRole('button', { name: 'make B the first' }).click();
  await until(() => address(page).get('run') === ids().toReversed().join(), 'its place in the address');
  await lane('A').locator('.flag[aria-label="Event loaded"]').click();
  await detail.getByRole('button', { name: 'Edit…' }).click();
  await page.locator('dialog[open]').getByLabel('Name').fill('loaded at last');
  await page.locator('dialog[open]').getByRole('button', { name: 'Save' }).click();
  await lane('A').locator('.flag[aria-label="Event loaded at last"]').waitFor();
  // The other run's is still what it was, and now that one is not changed here.
  await lane('B').locator('.flag[aria-label="Event loaded"]').click();
  assert.ok(await detail.getByRole('button', { name: 'Edit…' }).isDisabled());
  await page.done();
});

test('several runs in progress are listed, and each is shown as it goes on', async () => {
  const job = ['sh', '-c', 'while :; do sleep 0.2; done'];
  const all = ['first', 'second', 'third'].map((name) => ({ name, path: join(home, `${name}.baro`) }));
  const made = all.map(({ path }) => recording(path, ['-i', '200ms', '-w', '1s'], job));
  for (const { path } of all) await until(() => existsSync(join(path, 'recording.json')) && existsSync(join(path, 'job')), 'a recording');
  const own = await view(...all.map(({ path }) => path));
  const page = await open(own.url);
  await page.locator('.panel .legend tbody tr').first().waitFor();
  await page.locator('summary[title="Choose a run"]').click();
  await page.getByRole('button', { name: /Several runs/ }).click();
  const dialog = page.locator('dialog[open]');
  for (const { name } of all) {
    const row = dialog.locator(`tbody tr:has(button:text-is("${name}.baro"))`);
    assert.match(await row.innerText(), /live/);
    const box = row.locator('input[type=checkbox]');
    if (!(await box.isChecked())) await box.check();
  }
  for (const box of await dialog.locator('tbody tr:has(.tag:text-is("now")) input:checked').all()) await box.uncheck();
  await page.keyboard.press('Escape');
  await until(async () => (await page.locator('.run-chip').count()) === 3, 'three runs');
  assert.deepEqual((await page.locator('.run-chip .tag').allInnerTexts()).map((each) => each.toLowerCase()), ['live', 'live', 'live']);
  const end = () => page.locator('.overview-says span').last().innerText();
  const before_ = await end();
  await until(async () => (await end()) > before_, 'they go on');
  // One ends: that is said of it alone.
  await made[0].stop();
  await until(async () => (await page.locator('.run-chip .tag').count()) === 2, 'one has ended');
  await Promise.all(made.slice(1).map((each) => each.stop()));
  await until(async () => (await page.locator('.run-chip .tag').count()) === 0, 'all have ended');
  await page.done();
  await own.stop();
});
