// The pictures of the README, made by the program itself: `cargo xtask pictures` runs it with the program in $BAROGRAPH, a recording and a folder.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PROGRAM, barograph, closeBrowser, open, until, view } from './barograph.mjs';

const [run, out] = process.argv.slice(2);

/** The page once it has drawn everything. */
async function drawn(address, options) {
  const page = await open(address, options);
  await page.locator('.legend tbody tr').first().waitFor();
  await page.waitForLoadState('networkidle');
  return page;
}

async function shoot(address, name, options) {
  const page = await drawn(address, options);
  await page.screenshot({ path: join(out, name) });
  await page.done();
}

/** A terminal as it looks, from what tmux says stands there. */
async function terminal(name, columns, rows, command, keys) {
  const tmux = (...args) => execFileSync('tmux', ['-L', 'barograph-pictures', ...args], { encoding: 'utf8' });
  tmux('-f', '/dev/null', 'new-session', '-d', '-x', String(columns), '-y', String(rows), `env -u NO_COLOR TERM=screen ${command}`);
  try {
    await until(() => tmux('capture-pane', '-p').includes('PID'), 'the table of processes');
    for (const key of keys) {
      tmux('send-keys', key);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    const cells = html(tmux('capture-pane', '-p', '-e'));
    const style = 'margin:0;background:#14171a;color:#d6dade;font:14px/17px "DejaVu Sans Mono",monospace';
    const page = await open(`data:text/html;charset=utf-8,${encodeURIComponent(`<body style='${style}'><pre style="margin:0;padding:16px;width:max-content;font:inherit">${cells}</pre>`)}`, { width: 1400, height: 1000 });
    await page.locator('pre').screenshot({ path: join(out, name) });
    await page.done();
  } finally {
    tmux('kill-server');
  }
}

const NAMED = ['#2b3036', '#e5534b', '#57ab5a', '#c69026', '#539bf5', '#b083f0', '#39c5cf', '#d6dade'];
const BRIGHT = ['#768390', '#ff7b72', '#6bc46d', '#daaa3f', '#6cb6ff', '#dcbdfb', '#56d4dd', '#ffffff'];

/** Text with the colours that its escape codes say. */
function html(text) {
  let style = {};
  return text.split(/\x1b\[([\d;]*)m/).map((part, place) => {
    if (place % 2 === 0) {
      const safe = part.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
      const [ink, paper] = style.reverse ? [style.paper ?? '#14171a', style.ink ?? '#d6dade'] : [style.ink, style.paper];
      const css = `${ink ? `color:${ink};` : ''}${paper ? `background:${paper};` : ''}${style.bold ? 'font-weight:600;' : ''}${style.dim ? 'opacity:.65;' : ''}`;
      return css && safe ? `<span style="${css}">${safe}</span>` : safe;
    }
    // Named colours come as 34 or as 38;5;4.
    const named = part.replaceAll(/\b([34])8;5;(\d+)/g, (_, layer, number) => String(Number(number) % 8 + Number(layer) * 10 + (Number(number) < 8 ? 0 : 60)));
    for (const code of named.split(';').map(Number)) {
      if (code === 0) style = {};
      else if (code === 1) style = { ...style, bold: true };
      else if (code === 2) style = { ...style, dim: true };
      else if (code === 7) style = { ...style, reverse: true };
      else if (code >= 30 && code <= 37) style = { ...style, ink: NAMED[code - 30] };
      else if (code >= 90 && code <= 97) style = { ...style, ink: BRIGHT[code - 90] };
      else if (code >= 40 && code <= 47) style = { ...style, paper: NAMED[code - 40] };
      else if (code >= 100 && code <= 107) style = { ...style, paper: BRIGHT[code - 100] };
      else if (code === 39) style = { ...style, ink: undefined };
      else if (code === 49) style = { ...style, paper: undefined };
    }
    return '';
  }).join('');
}

const server = await view('--read-only', run);
await shoot(server.url, 'page-light.png', { width: 1280, height: 900, deviceScaleFactor: 1.5 });
await shoot(server.url, 'page-dark.png', { width: 1280, height: 900, deviceScaleFactor: 1.5, colorScheme: 'dark' });
await server.stop();

const report = join(out, '.report.html');
await barograph('report', run, '--html', report);
await shoot(pathToFileURL(report).href, 'report.png', { width: 1280, height: 900, deviceScaleFactor: 1.5 });
execFileSync('rm', [report]);

await barograph('plot', run, '-o', join(out, 'plot.svg'), '--force', '--title', 'A training run in miniature');
await terminal('top.png', 120, 28, `${PROGRAM} top ${run} --at +12s`, ['v']);
await closeBrowser();
