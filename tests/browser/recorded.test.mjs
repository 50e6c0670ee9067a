// A recording that has ended, in the page: its numbers are those of its Parquet, and every way to look at it works.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { address, assertShown, barograph, closeBrowser, folder, groups, legend, open, readAmount, readNumber, record, screenshot, settled, stretch, table, until, view } from './barograph.mjs';

let home, run, server, job, processes, identities;

before(async () => {
  home = folder();
  run = await record(join(home, 'job.baro'));
  job = await table(run, 'job');
  processes = await table(run, 'process');
  identities = await table(run, 'processes');
  server = await view(run);
});

afterEach(async (context) => {
  if (!context.passed) await screenshot(context.name).catch(() => undefined);
});

after(async () => {
  await closeBrowser();
  await server?.stop();
});

/** The page of the recording, with its charts drawn. */
const show = (hash = '', options = {}) => settled(`${server.url}${hash}`, options);

const at = (row) => Date.parse(row.time);
/** A tick at which both processes were there: the child of the job, and the job. */
const tickWithChild = () => {
  const byTime = groups(processes.filter((row) => row.resident_bytes > 0), (row) => row.time);
  const full = [...byTime].filter(([, rows]) => rows.length >= 2);
  return full[Math.floor(full.length / 2)];
};

test('the header says what was run, where and how it ended', async () => {
  const page = await show();
  const header = await page.locator('header.header').innerText();
  assert.match(header, /python3 .*job\.py 4/);
  assert.match(header, /ended/);
  assert.match(header, /exit 0/);
  assert.match(await page.title(), /job\.py/);
  await page.done();
});

test('numbers at a moment are those of the row: memory as it is, CPU as it grew', async () => {
  const row = job[Math.floor(job.length / 2)];
  const page = await show(`#at=${at(row)}`);
  const panels = await page.locator('[data-panel]').evaluateAll((all) => all.map((each) => each.dataset.panel));
  const memory = panels.find((id) => /memory/.test(id));
  const cpu = panels.find((id) => id === 'cpu');
  assert.ok(memory && cpu, `there are panels of memory and CPU among ${panels}`);
  const sum = (said) => said.rows.find((each) => /^(total|job|the job|memory)/i.test(each.name)) ?? said.rows[0];
  const [m, c] = [await legend(page, memory), await legend(page, cpu)];
  assertShown(readAmount(sum(m).at, m.unit), row.resident_bytes, `memory of the job at ${row.time}`);
  assertShown(readAmount(sum(m).peak, m.unit), Math.max(...job.map((each) => each.resident_bytes ?? 0)), 'peak memory of the job');
  // Cores are shares of what the kernel counted for all cores meanwhile, over no less than 100 ms: it counts in steps of 10 ms, and by the clock a sum would be more than there are.
  const machine = await table(run, 'cpu');
  const parts = ['user', 'nice', 'system', 'idle', 'iowait', 'irq', 'softirq', 'steal'].map((part) => `${part}_seconds`);
  const all = [];
  for (const [place, row] of machine.entries()) {
    const by = parts.map((part) => (place === 0 ? 0 : row[part] - machine[place - 1][part]));
    const grew = by.reduce((sum, each) => sum + Math.max(0, each), 0);
    const clock = place === 0 ? 0 : (row.cores_online * (row.monotonic_nanos - machine[place - 1].monotonic_nanos)) / 1e9;
    all.push((all.at(-1) ?? 0) + (by.some((each) => each < 0) ? Math.max(grew, clock) : grew));
  }
  const bounds = [0];
  machine.forEach((row, place) => {
    if (row.monotonic_nanos - machine[bounds.at(-1)].monotonic_nanos >= 1e8) bounds.push(place);
  });
  // A rest that is too short at the end lengthens the last of them.
  if (bounds.length > 2 && bounds.at(-1) < machine.length - 1) bounds[bounds.length - 1] = machine.length - 1;
  let weighed = 0;
  bounds.slice(1).forEach((end, at) => {
    const begin = bounds[at];
    const cores = Math.min(machine[end].cores_online, ((machine[end].system_seconds - machine[begin].system_seconds) / (all[end] - all[begin])) * machine[end].cores_online);
    weighed += cores * (machine[end].monotonic_nanos - machine[begin].monotonic_nanos);
  });
  const cores = weighed / (machine.at(-1).monotonic_nanos - machine[0].monotonic_nanos);
  const system = c.rows.find((each) => each.name === 'system');
  // Cores are shown with two digits after the point.
  const seen = readAmount(system.mean, c.unit);
  assert.ok(Math.abs(seen - cores) <= 0.005 + 1e-9, `the kernel's cores in the whole run: ${seen} are shown, ${cores} recorded`);
  assert.notEqual(readNumber(system.at), null);
  await page.done();
});

test('the cursor tells the value below it, and leaves with the pointer', async () => {
  const page = await show();
  const panel = page.locator('[data-panel*="memory"]').first();
  const surface = panel.locator('.surface');
  await surface.scrollIntoViewIfNeeded();
  const box = await surface.boundingBox();
  const before_ = await panel.locator('thead').innerText();
  assert.match(before_, /last/);
  await page.mouse.move(box.x + box.width * 0.6, box.y + box.height / 2);
  await panel.locator('thead :text("at cursor")').waitFor();
  const said = await legend(page, await panel.getAttribute('data-panel'));
  const values = job.map((row) => row.resident_bytes).filter((value) => value !== null);
  const shown = readAmount(said.rows[0].at, said.unit);
  assert.ok(values.some((value) => Math.abs(value - shown) <= value * 0.0051), `${shown} is the memory of some row`);
  await page.mouse.move(2, 2);
  await panel.locator('thead :text("last")').waitFor();
  await page.done();
});

test('a click takes the moment: the process table is that of the tick, offline', async () => {
  const [time, rows] = tickWithChild();
  const page = await show(`#at=${Date.parse(time)}&look=table`);
  const grid = page.locator('.instant .treegrid');
  await grid.locator('[data-row]').first().waitFor();
  const shown = await grid.locator('.grid-body [role=row]').evaluateAll((all) => all.map((row) => Object.fromEntries([...row.children].map((cell) => [cell.dataset.column, cell.textContent]))));
  assert.deepEqual(shown.map((row) => Number(row.pid)).sort((a, b) => a - b), rows.map((row) => row.pid).sort((a, b) => a - b));
  const unit = (await grid.locator('[role=columnheader]:has-text("memory") .unit').textContent()).trim();
  for (const row of rows) {
    const cells = shown.find((each) => Number(each.pid) === row.pid);
    assertShown(readAmount(cells.resident, unit), row.resident_bytes, `memory of ${row.pid}`);
    assert.equal(readNumber(cells.threads), row.threads);
    const identity = identities.filter((each) => each.pid === row.pid && each.start_ticks === row.start_ticks && each.time <= time).at(-1);
    assert.ok(cells.command.startsWith(identity.command_line.slice(0, 20)), `${cells.command} is ${identity.command_line}`);
  }
  // Another moment, by the pointer.
  const box = await page.locator('[data-panel] .surface').first().boundingBox();
  await page.mouse.click(box.x + box.width * 0.9, box.y + box.height / 2);
  await until(async () => Number((await page.locator('.moment-body').getAttribute('data-at')) ?? 0) > Date.parse(time), 'a later moment');
  assert.ok(address(page).has('at') || (await until(async () => address(page).has('at'), 'the moment in the address')));
  await page.done();
});

test('the table is sorted, found in, drawn as a tree and as a graph, and walked by keys', async () => {
  const [time, rows] = tickWithChild();
  const page = await show(`#at=${Date.parse(time)}&look=table`);
  const grid = page.locator('.instant .treegrid').first();
  const pids = () => grid.locator('.grid-body [data-column=pid]').allTextContents().then((all) => all.map(Number));
  await grid.locator('[data-row]').first().waitFor();
  await grid.locator('[role=columnheader] button:has-text("memory")').click();
  const byMemory = [...rows].sort((a, b) => b.resident_bytes - a.resident_bytes).map((row) => row.pid);
  await until(async () => (await pids()).join() === byMemory.join(), 'the order by memory');
  await grid.locator('[role=columnheader] button:has-text("memory")').click();
  await until(async () => (await pids()).join() === [...byMemory].reverse().join(), 'the other way round');
  // The tree: the child is one level below the job.
  await page.getByRole('radio', { name: 'tree' }).click();
  await until(async () => (await grid.locator('[aria-level="2"]').count()) > 0, 'a level below the first');
  const parent = grid.locator('[aria-level="1"][aria-expanded="true"]').first();
  await parent.click();
  await grid.focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowLeft');
  await grid.locator('[aria-expanded="false"]').first().waitFor();
  await page.keyboard.press('ArrowRight');
  await grid.locator('[aria-expanded="true"]').first().waitFor();
  // Found by the key of the page, by pid.
  await page.locator('h2').first().click();
  await page.keyboard.press('/');
  await page.locator('.find input[type=search]:focus').waitFor();
  await page.keyboard.type(String(byMemory.at(-1)));
  await until(async () => (await grid.locator('.grid-body [role=row]:not(.dimmed)').count()) === 1, 'the one that was looked for');
  await page.getByLabel('whole run', { exact: true }).check();
  await page.locator('.found li').first().waitFor();
  await page.getByLabel('whole run', { exact: true }).uncheck();
  await page.locator('.find input[type=search]').fill('');
  await page.getByRole('radio', { name: 'graph' }).click();
  await page.locator('.graph-node').first().waitFor();
  assert.equal(await page.locator('.graph-node').count(), rows.length);
  await page.locator('.graph-node').first().click();
  await page.locator('.life').waitFor();
  await page.done();
});

test('a process has a life: who it was, when, how it ended, and charts of its own', async () => {
  const [time, rows] = tickWithChild();
  const child = rows.reduce((a, b) => (a.start_ticks > b.start_ticks ? a : b));
  const page = await show(`#at=${Date.parse(time)}&process=${child.pid}.${child.start_ticks}`);
  const life = page.locator('.life');
  await life.locator('.identities li').first().waitFor();
  const said = await life.locator('header').innerText();
  assert.match(said, new RegExp(String(child.pid)));
  const ended = identities.find((row) => row.pid === child.pid && row.start_ticks === child.start_ticks && (row.exit_code !== null || row.exit_signal !== null));
  if (ended) assert.match(said, new RegExp(`exit ${ended.exit_code}`));
  await life.locator('[data-panel]').first().scrollIntoViewIfNeeded();
  await life.locator('[data-panel] .legend tbody tr').first().waitFor();
  const begin = life.locator('header button.link').first();
  await begin.click();
  const from = Math.min(...processes.filter((row) => row.pid === child.pid).map(at));
  await until(() => Math.abs(Date.parse(address(page).get('at') ?? '') - from) < 2000, 'its begin is the moment');
  await life.getByRole('button', { name: 'Zoom to it' }).click();
  await until(() => stretch(page) !== null, 'its stretch is looked at');
  await life.getByLabel('Close its life').click();
  await life.waitFor({ state: 'detached' });
  await page.done();
});

test('two moments are compared: who came is told', async () => {
  const [time, rows] = tickWithChild();
  const first = processes.find((row) => row.resident_bytes > 0);
  const child = rows.reduce((a, b) => (a.start_ticks > b.start_ticks ? a : b));
  const page = await show(`#at=${Date.parse(time)}&compare=${Date.parse(first.time) + 300}`);
  const added = page.locator('.differences .grid-row.added');
  await added.first().waitFor();
  assert.ok((await added.locator('[data-column=pid]').allTextContents()).includes(String(child.pid)));
  const memory = readAmount((await added.filter({ hasText: String(child.pid) }).locator('[data-column=resident]').textContent()).replace('+', ''), (await page.locator('.differences [role=columnheader]:has-text("memory") .unit').textContent()).trim());
  assertShown(memory, child.resident_bytes, 'memory that came with it');
  await page.getByLabel('Swap the two moments').click();
  await page.getByLabel('End the comparison').click();
  await page.locator('.differences').waitFor({ state: 'detached' });
  await page.done();
});

test('one zooms by drag, by wheel and by keys, and goes back to all', async () => {
  const page = await show();
  const surface = page.locator('[data-panel] .surface').first();
  const box = await surface.boundingBox();
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * 0.25, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, y, { steps: 4 });
  await page.mouse.up();
  const dragged = await until(() => stretch(page), 'a stretch in the address');
  const [whole0, whole1] = [at(job[0]), at(job.at(-1))];
  const length = whole1 - whole0;
  assert.ok(dragged.length > length * 0.15 && dragged.length < length * 0.4, `${dragged.length} of ${length} ms`);
  const zooms = async (act, way) => {
    const was = stretch(page).length;
    await act();
    await until(() => (stretch(page)?.length ?? length) * way < was * way * 0.95 + (way < 0 ? was * way * 0.1 : 0) || (stretch(page)?.length ?? length) * way < was * way, 'another length');
  };
  await page.mouse.move(box.x + box.width * 0.5, y);
  await zooms(async () => {
    await page.keyboard.down('Control');
    await page.mouse.wheel(0, -120);
    await page.keyboard.up('Control');
  }, 1);
  await zooms(() => page.keyboard.press('w'), 1);
  await zooms(() => page.keyboard.press('s'), -1);
  const was = stretch(page).from;
  await page.keyboard.press('a');
  await until(() => stretch(page).from < was, 'earlier');
  await page.keyboard.press('d');
  await page.keyboard.press('0');
  await until(() => stretch(page) === null, 'all of it');
  // A link carries what is looked at.
  await page.keyboard.press('w');
  await until(() => stretch(page), 'a stretch');
  const link = page.url();
  const other = await open(link.replace(/\?[^#]*/, ''), {}).catch(() => null);
  await other?.context().close();
  await page.reload();
  await page.locator('.panel .legend tbody tr').first().waitFor();
  assert.equal(page.url(), link);
  await page.locator('.slice').first().waitFor();
  // What is selected is summed up.
  await page.keyboard.press('0');
  await page.keyboard.down('Alt');
  await page.mouse.move(box.x + box.width * 0.3, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, y, { steps: 4 });
  await page.mouse.up();
  await page.keyboard.up('Alt');
  await page.locator('.selection table').first().waitFor();
  await page.keyboard.press('Escape');
  await page.locator('.selection').waitFor({ state: 'detached' });
  await page.done();
});

test('spans lie above the charts, tell what they cost, and a click zooms to one', async () => {
  const spans = await table(run, 'spans');
  const page = await show();
  const load = spans.find((span) => span.name === 'load');
  const slice = page.locator('.slice[aria-label="Span load"]');
  await slice.hover();
  const detail = page.locator('[data-detail=span]');
  await detail.waitFor();
  const text = await detail.innerText();
  assert.match(text, /load/);
  assert.match(text, /exact|sampled/);
  const wall = /·\s*(?:for )?([\d.,\u202f]+ (?:ms|s))/.exec(text);
  assertShown(readAmount(wall[1]), load.wall_seconds, 'how long it took');
  assert.match(text, /shard/);
  // The one that failed, and the one that never ended.
  await page.locator('.slice.error').first().hover();
  await page.locator('[data-detail=span] .bad').first().waitFor();
  assert.ok((await page.locator('.slice.open').count()) > 0);
  // Each span is drawn, alone or with its neighbours.
  const drawn = await page.locator('.slice').evaluateAll((all) => all.map((each) => each.getAttribute('aria-label')));
  const count = drawn.map((label) => Number(/^(\d+) spans/.exec(label)?.[1] ?? 1)).reduce((a, b) => a + b, 0);
  assert.equal(count, spans.length);
  await slice.click();
  const seen = await until(() => stretch(page), 'a stretch');
  assert.ok(seen.from <= Date.parse(load.time) + 1 && seen.to >= Date.parse(load.end_time) - 1 && seen.length < load.wall_seconds * 1000 * 1.5 + 100);
  // Filtered by name.
  await page.keyboard.press('0');
  await page.getByLabel('Show only spans and events whose name has this').fill('load');
  await until(async () => (await page.locator('.slice').count()) === 1, 'only one is left');
  await page.getByLabel('Show only spans and events whose name has this').fill('');
  await page.getByLabel('spans', { exact: true }).uncheck();
  await page.locator('.slice').first().waitFor({ state: 'detached' });
  await page.getByLabel('spans', { exact: true }).check();
  await page.locator('.slice').first().waitFor();
  await page.done();
});

test('marks are flags; [ and ] go from one to the next', async () => {
  const events = await table(run, 'events');
  const loaded = events.find((event) => event.name === 'loaded');
  const page = await show();
  await page.locator('.flag').first().waitFor();
  assert.equal(Number(await page.locator('.lanes .count').innerText()), events.length);
  await page.keyboard.press(']');
  await until(() => address(page).has('at'), 'a moment');
  for (let step = 0; step < events.length && Math.abs(Date.parse(address(page).get('at')) - Date.parse(loaded.time)) > 1; step += 1) {
    const was = address(page).get('at');
    await page.keyboard.press(']');
    await until(() => address(page).get('at') !== was, 'the next event');
  }
  assert.match(await page.locator('[data-detail=event]').innerText(), /loaded[\s\S]*80 MiB/);
  await page.done();
});

test('a watch point raises events where the metric is above the level', async () => {
  const page = await show();
  await page.locator('summary[title^="Events"]').click();
  await page.getByRole('button', { name: /Watch points/ }).click();
  const dialog = page.locator('dialog[open]');
  const choice = await dialog.locator('select option').evaluateAll((all) => all.find((each) => /^memory/i.test(each.textContent))?.value);
  assert.ok(choice !== undefined, 'memory can be watched');
  await dialog.locator('select').first().selectOption(choice);
  await dialog.locator('input').nth(0).fill('60 MiB');
  await dialog.getByRole('button', { name: 'Watch', exact: true }).click();
  await until(async () => /[1-9]\d* events/.test(await dialog.locator('.rules').innerText()), 'events of the rule');
  await page.keyboard.press('Escape');
  await page.locator('.flag.by-rule').first().waitFor();
  await page.done();
});

test('times are shown in any zone', async () => {
  const page = await show(`#at=${at(job[3])}&zone=UTC`);
  const clock = (zone) => new Intl.DateTimeFormat('en-GB', { timeZone: zone, hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }).format(new Date(at(job[3]) + 50)).slice(0, 5);
  const title = page.locator('.instant h2 time');
  await until(async () => (await title.innerText()).includes(clock('UTC')), 'UTC');
  await page.locator('.zone-menu summary').click();
  await page.getByLabel('Search zones').fill('Tokyo');
  await page.locator('.zone-menu .found button').first().click();
  await until(async () => (await title.innerText()).includes(clock('Asia/Tokyo')), 'Tokyo');
  assert.match(await page.locator('.ruler-zone').innerText(), /\+09:00/);
  await page.done();
});

test('both themes, by the system and by the person, readable in each', async () => {
  const ground = (page) => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await show('', { colorScheme: 'light' });
  const dark = await show('', { colorScheme: 'dark' });
  assert.notEqual(await ground(light), await ground(dark));
  await light.keyboard.press('l');
  await until(async () => (await ground(light)) === (await ground(dark)), 'dark by the key');
  for (const page of [light, dark]) {
    // Contrast of the text on the ground, as WCAG has it.
    const ratio = await page.evaluate(() => {
      const channel = (value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
      const light = (text) => {
        const [r, g, b] = text.match(/[\d.]+/g).map(Number);
        return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
      };
      const root = getComputedStyle(document.documentElement);
      const hint = document.querySelector('.hint');
      const all = [root.color, hint && getComputedStyle(hint).color].filter(Boolean).map(light);
      const base = light(root.backgroundColor);
      return Math.min(...all.map((each) => (Math.max(each, base) + 0.05) / (Math.min(each, base) + 0.05)));
    });
    assert.ok(ratio >= 4.5, `contrast ${ratio}`);
    await page.done();
  }
});

test('on a phone nothing is wider than the screen', async () => {
  const page = await show('', { width: 390, height: 844, hasTouch: true, isMobile: true });
  const { wide, all } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, all: innerWidth }));
  assert.ok(wide <= all, `${wide} pixels of ${all}`);
  await page.done();
});

test('where nothing can be written, events are kept in the browser: added, changed, imported, exported, deleted', async () => {
  const closed = await view('--read-only', run);
  const page = await open(`${closed.url}#zone=UTC`);
  await page.locator('.panel .legend tbody tr').first().waitFor();
  const count = async () => Number(await page.locator('.lanes .count').innerText());
  const before_ = await until(count, 'events');
  await page.keyboard.press('m');
  const dialog = page.locator('dialog[open]');
  assert.match(await dialog.innerText(), /stays in this browser/);
  await dialog.getByLabel('Name').fill('a thought');
  await dialog.getByRole('button', { name: 'Mark' }).click();
  await until(async () => (await count()) === before_ + 1, 'one more');
  // It is there when the page comes again.
  await page.reload();
  await until(async () => (await count()) === before_ + 1, 'one more, after a reload');
  await page.locator('summary[title^="Events"]').click();
  await page.getByRole('button', { name: 'Import CSV…' }).click();
  const file = join(home, 'events.csv');
  const noon = job[Math.floor(job.length / 2)].time;
  await writeFile(file, `event,timestamp\nfrom a file,${noon}\nno time,soon\nsecond,${Date.parse(noon) / 1000}\n`);
  await page.locator('input[type=file]').setInputFiles(file);
  await page.getByRole('button', { name: 'Import', exact: true }).click();
  const outcome = page.locator('dialog[open] [role=status]');
  await outcome.waitFor();
  assert.match(await outcome.innerText(), /2 events were added, 1 refused[\s\S]*line 3/);
  await page.keyboard.press('Escape');
  await outcome.waitFor({ state: 'detached' });
  await until(async () => (await count()) === before_ + 3, 'two more');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    (async () => {
      await page.locator('summary[title^="Events"]').click();
      await page.getByRole('button', { name: 'Export CSV' }).click();
    })(),
  ]);
  const csv = readFileSync(await download.path(), 'utf8');
  assert.match(csv, /^event,timestamp\r\n/);
  for (const name of ['a thought', 'from a file', 'second', 'loaded']) assert.match(csv, new RegExp(`^${name},`, 'm'));
  // Changed and deleted in the list.
  await page.locator('summary[title^="Events"]').click();
  await page.getByRole('button', { name: 'All events…' }).click();
  await page.locator('dialog tr:has-text("a thought") button:has-text("edit")').click();
  await page.locator('dialog[open]').getByLabel('Name').fill('a better thought');
  await page.locator('dialog[open]').getByRole('button', { name: 'Save' }).click();
  await page.locator('summary[title^="Events"]').click();
  await page.getByRole('button', { name: 'All events…' }).click();
  const mine = page.locator('dialog tr:has-text("a better thought")');
  await mine.getByRole('button', { name: 'delete' }).click();
  await mine.waitFor({ state: 'detached' });
  // Of all this the recording knows nothing.
  assert.doesNotMatch(await barograph('export', run, '--table', 'events', '--format', 'jsonl', '-o', '-'), /thought|from a file/);
  // And nothing can be ordered.
  assert.equal(await page.getByRole('button', { name: /Start recording|Stop|Snapshot/ }).count(), 0);
  await page.done();
  await closed.stop();
});
