// Runs the tests of pure functions: `node test.mjs [NAME …]`. They are TypeScript, so they are bundled first.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';

const wanted = process.argv.slice(2);
const names = readdirSync('test').filter((name) => name.endsWith('.test.ts') && (wanted.length === 0 || wanted.some((part) => name.includes(part))));
const out = mkdtempSync(join(tmpdir(), 'barograph-page-'));
try {
  await build({ entryPoints: names.map((name) => join('test', name)), outdir: out, outExtension: { '.js': '.mjs' }, bundle: true, platform: 'node', format: 'esm', external: ['playwright-core'], loader: { '.css': 'empty' }, jsx: 'automatic', jsxImportSource: 'preact', logLevel: 'warning' });
  process.exitCode = spawnSync(process.execPath, ['--test', ...names.map((name) => join(out, name.replace(/\.ts$/, '.mjs')))], { stdio: 'inherit' }).status ?? 1;
} finally {
  rmSync(out, { recursive: true });
}
