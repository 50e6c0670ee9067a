// Runs the tests of the page's pure parts: `node test/run.mjs [NAME …]`. Node 20 reads no TypeScript, so each is bundled first.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';

const folder = import.meta.dirname;
const names = process.argv.slice(2);
const entryPoints = readdirSync(folder).filter((file) => file.endsWith('.test.ts') && (names.length === 0 || names.some((name) => file.startsWith(name)))).map((file) => join(folder, file));
const out = mkdtempSync(join(tmpdir(), 'page-tests-'));
try {
  await build({ entryPoints, outdir: out, bundle: true, platform: 'node', format: 'esm', outExtension: { '.js': '.mjs' }, sourcemap: 'inline', jsx: 'automatic', jsxImportSource: 'preact', logLevel: 'warning' });
  const tests = readdirSync(out).filter((file) => file.endsWith('.mjs')).map((file) => join(out, file));
  process.exitCode = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...tests], { stdio: 'inherit' }).status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
