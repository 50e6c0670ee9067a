// Builds the page into a folder: `node build.mjs FOLDER`. Two programs of one source: the page that a server sends, and the report that is one file.
import { mkdirSync, copyFileSync } from 'node:fs';
import { build } from 'esbuild';

const out = process.argv[2] ?? 'dist';
mkdirSync(out, { recursive: true });
copyFileSync('src/index.html', `${out}/index.html`);
await build({
  entryPoints: { page: 'src/page.tsx', report: 'src/report.tsx' },
  outdir: out,
  bundle: true,
  minify: true,
  format: 'iife',
  target: ['chrome100', 'firefox100', 'safari16'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  logLevel: 'warning',
});
