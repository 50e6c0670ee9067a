// How things look to whoever looks: clocks that are changed, gestures, still pictures, paper, and what a screen reader is told.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { address, assertShown, barograph, closeBrowser, folder, legend, open, readAmount, readNumber, record, recording, screenshot, settled, stretch, table, until, view } from './barograph.mjs';

let home, run, job, server;

before(async () => {
  home = folder();
  run = await record(join(home, 'job.baro'), ['-i', '100ms']);
  job = await table(run, 'job');
  server = await view('--read-only', run);
});

afterEach(async (context) => {
  if (!context.passed) await screenshot(context.name).catch(() => undefined);
});

after(async () => {
  await closeBrowser();
  await server?.stop();
});

const show = (hash = '', options = {}) => settled(`${server.url}#zone=UTC${hash}`, options);

test('across a change of clocks times are those of the clocks, and each stands where it was', async () => {
  // The hour from 2 to 3 is there twice in Berlin in autumn, and not at all in spring.
  for (const [name, begin, labels, offsets] of [
    ['autumn', '2026-10-24T23:30:00Z', ['01:30', '02:00', '02:30', '02:00', '02:30', '03:00', '03:30'], ['+02:00', '+01:00']],
    ['spring', '2026-03-28T23:30:00Z', ['00:30', '01:00', '01:30', '03:00', '03:30', '04:00', '04:30'], ['+01:00', '+02:00']],
  ]) {
    const file = join(home, `${name}.csv`);
    const times = Array.from({ length: 19 }, (_, at) => Date.parse(begin) + at * 600_000);
    writeFileSync(file, `time,temperature\n${times.map((time, at) => `${new Date(time).toISOString()},${20 + at}`).join('\n')}\n`);
    const own = await view('--read-only', file);
    const page = await open(own.url, { timezoneId: 'Europe/Berlin' });
    await page.locator('.panel .legend tbody tr').first().waitFor();
    assert.deepEqual((await page.locator('.ruler-tick').allInnerTexts()).map((label) => label.trim()), labels, name);
    assert.equal(await page.locator('.ruler-zone').innerText(), offsets[0]);
    // Nothing would have recorded its processes, and nobody is told to.
    assert.match(await page.locator('.instant').innerText(), /This file says nothing of processes/);
    assert.equal(await page.locator('.instant').getByText('--processes').count() + await page.locator('.instant [role=radio]').count(), 0);
    // Two instants of an hour apart, of one name in autumn: each has the value of its own row.
    for (const row of [6, 12]) {
      await page.goto(`${own.url}#at=${times[row]}`);
      const panel = await page.locator('[data-panel]').first().getAttribute('data-panel');
      await until(async () => readNumber((await legend(page, panel)).rows[0].at) === 20 + row, `the value at ${new Date(times[row]).toISOString()}`);
      const clock = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Berlin', hour: '2-digit', minute: '2-digit' }).format(times[row]);
      assert.match(await page.locator('.pill.moment').innerText(), new RegExp(`^${clock}`));
    }
    // What is typed is taken by the clocks of the zone.
    const [from, to] = [times[13], times[17]];
    const typed = (time) => new Intl.DateTimeFormat('sv-SE', { timeZone: 'Europe/Berlin', dateStyle: 'short', timeStyle: 'medium' }).format(time);
    await page.locator('summary[title="A range of your own"]').click();
    await page.getByLabel('From').fill(typed(from));
    await page.getByLabel('to', { exact: true }).fill(typed(to));
    await page.keyboard.press('Enter');
    const seen = await until(() => stretch(page), 'a stretch');
    assert.equal(seen.to, to, 'after the change there is but one such time');
    assert.ok(seen.from === from || seen.from === from - 3_600_000, 'an hour that is there twice is the first');
    await until(async () => (await page.locator('.ruler-zone').innerText()) === offsets[seen.from === from ? 1 : 0], 'the offset of what is looked at');
    // In another zone there is no change.
    await page.locator('.zone-menu summary').click();
    await page.locator('.zone-menu li button:has(.text:text-is("UTC"))').click();
    await page.keyboard.press('0');
    await until(async () => (await page.locator('.ruler-tick').first().innerText()).trim() === '23:30', 'UTC');
    await page.done();
    await own.stop();
  }
});

test('one moves by Shift and drag, by the sideways wheel and by the brush; a double click goes back', async () => {
  const page = await show();
  await page.keyboard.press('w');
  const was = await until(() => stretch(page), 'a stretch');
  const surface = page.locator('[data-panel] .surface').first();
  const box = await surface.boundingBox();
  const y = box.y + box.height / 2;
  await page.keyboard.down('Shift');
  await page.mouse.move(box.x + box.width * 0.6, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.4, y, { steps: 5 });
  await page.mouse.up();
  await page.keyboard.up('Shift');
  const later = await until(() => stretch(page).from !== was.from && stretch(page), 'another stretch');
  // The picture goes along with the pointer: by a fifth of its width.
  assert.ok(Math.abs(later.from - was.from - was.length * 0.2) < was.length * 0.02, `${later.from - was.from} of ${was.length} ms`);
  assert.ok(Math.abs(later.length - was.length) <= 1);
  await page.mouse.wheel(-120, 0);
  await until(() => stretch(page).from < later.from, 'the wheel moves back');
  const before_ = stretch(page);
  // The plain wheel is the page's.
  await page.mouse.wheel(0, 200);
  await until(() => page.evaluate(() => scrollY > 0), 'the page scrolls');
  assert.deepEqual(stretch(page), before_);
  await page.evaluate(() => scrollTo(0, 0));
  const edge = page.getByRole('slider', { name: 'End of what is looked at' });
  await edge.focus();
  await page.keyboard.press('ArrowLeft');
  await until(() => stretch(page).to < before_.to && stretch(page).from === before_.from, 'its end alone');
  const brush = await page.locator('.brush').boundingBox();
  await page.mouse.move(brush.x + brush.width * 0.1, brush.y + 20);
  await page.mouse.down();
  await page.mouse.move(brush.x + brush.width * 0.3, brush.y + 20, { steps: 4 });
  await page.mouse.up();
  await until(() => stretch(page).from < before_.from, 'another stretch');
  await page.mouse.dblclick(box.x + box.width / 2, y);
  await until(() => stretch(page) === null, 'all of it');
  await page.done();
});

test('a pan moves what is there, and makes nothing anew; once it holds still all of it lies where it belongs', async () => {
  const page = await show();
  await page.keyboard.press('w');
  await until(() => stretch(page), 'a stretch');
  const spans = (await table(run, 'spans')).filter(({ name }) => name === 'wait');
  const seen = await page.evaluate(async () => {
    const surface = document.querySelector('[data-panel] .surface');
    const box = surface.getBoundingClientRect();
    const y = box.top + box.height / 2;
    let x = box.left + box.width / 2;
    surface.setPointerCapture = () => undefined;
    const say = (name) => surface.dispatchEvent(new PointerEvent(name, { clientX: x, clientY: y, bubbles: true, cancelable: true, pointerId: 1, pointerType: 'mouse', button: 0, buttons: 1, shiftKey: true, isPrimary: true }));
    const sheets = () => [...document.querySelectorAll('.ruler, .lanes, [data-panel]')].filter((each) => each.getBoundingClientRect().top < innerHeight - 80).flatMap((each) => [...each.querySelectorAll('.sheet')]);
    const frame = () => new Promise(requestAnimationFrame);
    say('pointerdown');
    // Until sheets are laid out that are wider than what is looked at.
    for (let move = 0; move < 6000; move += 1) {
      x += move % 2 ? -8 : 8;
      say('pointermove');
      await frame();
      if (document.documentElement.matches('.panning') && sheets().every(({ style }) => style.width === '200%')) break;
    }
    const wide = sheets().map(({ style }) => style.width);
    const canvas = document.querySelector('[data-panel="cpu"] canvas, [data-panel] canvas');
    const left = () => [...document.querySelectorAll('.ruler-tick, .pill.cursor, .slice, .flag')].map((each) => each.getBoundingClientRect().left);
    const before = left();
    const records = [];
    const take = (all) => records.push(...all.map(({ type, attributeName, target }) => `${type} ${attributeName} ${target.className}`));
    const observer = new MutationObserver(take);
    observer.observe(document.querySelector('.timed'), { subtree: true, childList: true, attributes: true, characterData: true });
    const from = x;
    // No timer can come in between: what follows from these moves comes within them, or in microtasks.
    for (let move = 0; move < 5; move += 1) {
      x -= 3;
      say('pointermove');
      for (let task = 0; task < 20; task += 1) await Promise.resolve();
    }
    take(observer.takeRecords());
    const moved = left().map((each, at) => each - before[at]);
    say('pointerup');
    return { wide, records: [...new Set(records)], moved, by: x - from, hasCanvas: canvas !== null };
  });
  assert.ok(seen.hasCanvas && seen.wide.length > 3 && seen.wide.every((width) => width === '200%'), `all sheets reach beyond what is looked at: ${seen.wide}`);
  assert.deepEqual(seen.records, ['attributes style sheet'], 'all that changed is where sheets lie');
  assert.ok(seen.moved.length > 2);
  for (const moved of seen.moved) assert.ok(Math.abs(moved - seen.by) < 0.6, `${moved} pixels, and the pointer went by ${seen.by}`);
  await until(() => page.evaluate(() => !document.documentElement.matches('.panning') && [...document.querySelectorAll('.lanes .sheet')].every(({ style }) => style.width === '' && style.transform === '')), 'sheets of just what is looked at');
  // The address follows once the view holds still.
  const [span] = spans;
  await until(async () => {
    const now = stretch(page);
    const place = await page.locator('.slice[aria-label="Span wait"]').evaluate((slice) => {
      const [own, all] = [slice, slice.closest('.surface')].map((each) => each.getBoundingClientRect());
      return (own.left - all.left) / all.width;
    });
    return Math.abs(place - (Date.parse(span.time) - now.from) / now.length) < 0.002;
  }, 'the slice of a span where its time is');
  await page.done();
});

test('a link shows another person the same: range, moment, charts, zone and numbers', async () => {
  const row = job[Math.floor(job.length / 2)];
  const page = await show(`&at=${Date.parse(row.time)}&panels=memory-by-process,cpu,-disk&zone=Asia/Tokyo&smooth=3&theme=dark`);
  await page.keyboard.press('w');
  await until(() => stretch(page), 'a stretch');
  await until(async () => (await page.locator('[data-panel="memory-by-process"] .legend tbody tr').count()) > 0, 'numbers');
  const settled = (where) => until(async () => (await where.locator('.panel[data-pending]').count()) === 0 && (await where.locator('[data-panel="memory-by-process"] .legend tbody tr').count()) > 0, 'charts that wait for nothing');
  await settled(page);
  const other = await open(`${server.url}${new URL(page.url()).hash}`);
  await settled(other);
  assert.equal(new URL(other.url()).hash, new URL(page.url()).hash);
  assert.deepEqual(await legend(other, 'memory-by-process'), await legend(page, 'memory-by-process'));
  const memory = await legend(other, 'memory-by-process');
  assert.equal(await other.locator('[data-panel]').first().getAttribute('data-panel'), 'memory-by-process');
  assert.equal(await other.locator('[data-panel="disk"]').count(), 0);
  assert.ok(readAmount(memory.rows.find(({ name }) => name === 'total').at, memory.unit) > 0);
  assert.equal(await other.evaluate(() => document.documentElement.dataset.theme), 'dark');
  assert.match(await other.locator('.ruler-zone').innerText(), /\+09:00/);
  await page.done();
  await other.done();
});

test('who asks for no motion has none', async () => {
  const page = await show('', { reducedMotion: 'reduce' });
  await page.keyboard.press('?');
  await page.locator('dialog[open]').waitFor();
  const moving = await page.evaluate(() => [...document.querySelectorAll('*')].filter((element) => {
    const { animationName, transitionDuration, scrollBehavior } = getComputedStyle(element);
    return animationName !== 'none' || transitionDuration.split(',').some((each) => parseFloat(each) > 0) || scrollBehavior === 'smooth';
  }).map(({ tagName, className }) => `${tagName} ${className}`));
  assert.deepEqual(moving, []);
  assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
  await page.done();
});

test('on paper all charts are drawn, with their numbers and spans, and nothing to click', async () => {
  const page = await show();
  await page.emulateMedia({ media: 'print' });
  await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
  const panels = await page.locator('[data-panel]').count();
  await until(async () => (await page.locator('[data-panel] .legend tbody tr:first-child').count()) === panels, 'numbers of each chart, also of those far below');
  const memory = await legend(page, 'memory-by-process');
  assertShown(readAmount(memory.rows.find(({ name }) => name === 'total').peak, memory.unit), Math.max(...job.map((row) => row.resident_bytes ?? 0)), 'peak memory');
  for (const selector of ['.looks', '.control', '.overview', '.lanes-bar', '.tools', '.charts-more button', '.segments']) assert.equal(await page.locator(`${selector}:visible`).count(), 0, `${selector} is not on paper`);
  for (const selector of ['.slice', '.flag', '.card', '[data-panel] canvas', '.instant [role=columnheader] button']) assert.ok((await page.locator(`${selector}:visible`).count()) > 0, `${selector} is on paper`);
  // The paper is narrower than the screen was: pictures go along.
  await page.setViewportSize({ width: 700, height: 1000 });
  const wide = await page.evaluate(() => Math.max(...[...document.querySelectorAll('.surface canvas')].map((canvas) => Math.abs(canvas.getBoundingClientRect().width - canvas.closest('.surface').clientWidth))));
  assert.ok(wide <= 1, `a picture is ${wide} pixels too wide or narrow`);
  assert.ok((await page.pdf({ format: 'A4' })).length > 10_000);
  await page.done();
});

test('what is dark on the screen is light on paper, times stand below each other, and labels apart', async () => {
  const report = join(home, 'report.html');
  await barograph('report', run, '--html', report);
  for (const own of [false, true]) {
    const page = own ? await open(`${pathToFileURL(report)}#zone=UTC&theme=light`) : await show('&theme=light');
    const panels = await page.locator('[data-panel]').count();
    // A report has each chart ready before anybody prints; a page asks for those that were never seen.
    if (!own) await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
    await until(async () => (await page.locator('[data-panel] .legend tbody tr:first-child').count()) === panels && (await page.locator('.panel[data-pending]').count()) === 0, 'numbers of each chart');
    if (!own) await page.evaluate(() => dispatchEvent(new Event('afterprint')));
    const seen = [];
    for (const theme of ['light', 'dark']) {
      if (theme === 'dark') await page.keyboard.press('l');
      await until(() => page.evaluate((theme) => document.documentElement.dataset.theme === theme, theme), `${theme} on the screen`);
      // Browsers make the picture of the paper right after this event: no frame comes in between.
      seen.push(await page.evaluate(async () => {
        dispatchEvent(new Event('beforeprint'));
        for (let task = 0; task < 50; task += 1) await Promise.resolve();
        const canvases = [...document.querySelectorAll('[data-panel] canvas')];
        return {
          theme: document.documentElement.dataset.theme,
          ground: getComputedStyle(document.documentElement).backgroundColor,
          swatches: [...document.querySelectorAll('.panel .swatch')].map(({ style }) => style.background),
          canvases: canvases.map((canvas) => canvas.toDataURL()),
          blank: canvases.filter((canvas) => canvas.toDataURL() === Object.assign(document.createElement('canvas'), { width: canvas.width, height: canvas.height }).toDataURL()).map((canvas) => canvas.closest('[data-panel]').dataset.panel),
          ticks: [...document.querySelectorAll('.ruler-tick')].map((each) => ({ left: parseFloat(each.style.left) / 100, wide: each.offsetWidth, place: each.className.split(' ')[1] })),
        };
      }));
      await page.evaluate(() => dispatchEvent(new Event('afterprint')));
    }
    await page.emulateMedia({ media: 'print' });
    await page.setViewportSize({ width: 718, height: 1000 });
    const sides = await page.evaluate(() => [...document.querySelectorAll('.ruler .surface, .lanes .surface, [data-panel] .surface')].map((each) => each.getBoundingClientRect()).filter(({ width }) => width > 0).map(({ left, right }) => `${Math.round(left)} to ${Math.round(right)}`));
    assert.deepEqual([...new Set(sides)].length, 1, `on an upright page all lie on one axis: ${[...new Set(sides)]}`);
    assert.ok((await page.locator('.instant [role=row]:visible').count()) > 1, 'processes are on paper');
    await page.done();
    const [light, dark] = seen;
    assert.deepEqual([dark.theme, dark.ground], ['light', 'rgb(255, 255, 255)']);
    assert.deepEqual(dark.swatches, light.swatches);
    assert.ok(dark.canvases.length > 5);
    assert.deepEqual(dark.canvases.map((each, at) => each === light.canvases[at]), dark.canvases.map(() => true), 'each picture is the light one');
    assert.deepEqual(dark.blank, [], 'each chart is drawn');
    // 718 pixels of an upright page, less the axis' labels and the legends beside.
    const edges = dark.ticks.map(({ left, wide, place }) => left * 370 - (place === 'first' ? 0 : place === 'last' ? wide : wide / 2));
    assert.ok(dark.ticks.length > 1);
    edges.slice(1).forEach((edge, at) => assert.ok(edge >= edges[at] + dark.ticks[at].wide, `labels of times are apart: ${JSON.stringify(dark.ticks)}`));
  }
});

test('a screen reader is told what each thing is', async () => {
  const page = await show();
  const client = await page.context().newCDPSession(page);
  const tree = async () => (await client.send('Accessibility.getFullAXTree')).nodes.filter(({ ignored }) => !ignored).map(({ role, name, properties }) => ({ role: role?.value, name: name?.value ?? '', properties }));
  const takers = new Set(['button', 'checkbox', 'combobox', 'link', 'menuitem', 'radio', 'searchbox', 'slider', 'spinbutton', 'textbox', 'DisclosureTriangle', 'dialog', 'region', 'treegrid']);
  const nameless = (all) => all.filter(({ role, name }) => takers.has(role) && name.trim() === '').map(({ role }) => role);
  const all = await tree();
  assert.deepEqual(nameless(all), []);
  const regions = all.filter(({ role }) => role === 'region').map(({ name }) => name);
  for (const wanted of ['Key figures', 'Spans and events', 'Charts', 'CPU by process', 'The moment', 'The whole run']) assert.ok(regions.includes(wanted), `${wanted} is among ${regions}`);
  // The numbers of a chart are a table that is read; the picture itself is passed over.
  const total = Math.max(...job.map((row) => row.resident_bytes ?? 0));
  const memory = await legend(page, 'memory-by-process');
  const cell = memory.rows.find(({ name }) => name === 'total').peak;
  assertShown(readAmount(cell, memory.unit), total, 'peak memory');
  assert.ok(all.some(({ role, name }) => /cell/i.test(role) && name === cell), `${cell} is a cell that is read`);
  assert.ok(all.some(({ role, name }) => role === 'heading' && name.startsWith('CPU by process')));
  for (const key of ['c', '?', 'm']) {
    await page.keyboard.press(key);
    await page.locator('dialog[open]').waitFor();
    assert.deepEqual(nameless(await tree()), [], `the dialog of ${key}`);
    await page.keyboard.press('Escape');
    await page.locator('dialog[open]').waitFor({ state: 'detached' });
  }
  await page.done();
});

test('the recorder of a run in progress watches what it was told by the page, also when nobody looks', async () => {
  const path = join(home, 'watched.baro');
  const go = join(home, 'go');
  const made = recording(path, ['-i', '100ms', '-w', '500ms'], ['python3', '-c', `
import os, time
while not os.path.exists(${JSON.stringify(go)}): time.sleep(0.05)
kept = bytearray(b"x") * (90 << 20)
while not os.path.exists(${JSON.stringify(`${go}-home`)}): time.sleep(0.05)
`]);
  await until(() => existsSync(join(path, 'recording.json')) && existsSync(join(path, 'job')), 'a recording');
  const own = await view(path);
  const page = await open(own.url);
  await page.locator('.panel .legend tbody tr').first().waitFor();
  await page.locator('summary[title^="Events"]').click();
  await page.getByRole('button', { name: /Watch points/ }).click();
  const dialog = page.locator('dialog[open]');
  const metric = await dialog.locator('select option').evaluateAll((all) => all.find((each) => /^job.*resident/i.test(each.textContent) && !/largest/i.test(each.textContent))?.value);
  assert.ok(metric !== undefined, 'the memory of the job can be watched');
  await dialog.locator('select').first().selectOption(metric);
  await dialog.getByLabel('the level').fill('60 MiB');
  await dialog.locator('select:has(option[value=recorder])').selectOption('recorder');
  await dialog.getByRole('button', { name: 'Watch', exact: true }).click();
  const condition = 'job.resident_bytes > 60 MiB';
  await dialog.locator(`.rules code:text-is("${condition}")`).waitFor();
  assert.equal(await dialog.locator('[role=alert]').count(), 0);
  await page.context().close();
  // Nobody looks. The job grows, and the recorder says so.
  writeFileSync(go, '');
  const marked = await until(async () => (await table(path, 'events')).find((event) => event.by === 'rule' || event.by === 'recorder' && /resident/.test(`${event.name} ${event.detail}`)), 'an event of the recorder');
  // Tables are published one after the other.
  const first = await until(async () => (await table(path, 'job')).find((row) => row.resident_bytes > 60 * 2 ** 20), 'a row above the level');
  assert.ok(Math.abs(Date.parse(marked.time) - Date.parse(first.time)) < 1, `${marked.time} is when the first row above the level was read, ${first.time}`);
  // Who looks again sees it, and the rule.
  const again = await open(own.url);
  await again.locator('.flag').first().waitFor();
  await again.getByLabel('Show only spans and events whose name has this').fill(marked.name.slice(0, 12));
  await again.locator('.flag').first().waitFor();
  await again.locator('summary[title^="Events"]').click();
  await again.getByRole('button', { name: /Watch points/ }).click();
  await again.getByLabel(`Forget ${condition}`).click();
  await again.locator('.rules code').waitFor({ state: 'detached' });
  writeFileSync(`${go}-home`, '');
  await made.ended;
  await again.done();
  await own.stop();
});
