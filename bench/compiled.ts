import path from 'node:path';
import { build } from 'esbuild';
import { root } from './built.ts';

const programs = new Map<string, Promise<string>>();

/**
 * A program of the benchmark as JavaScript. Node can run TypeScript, but its compiler stays in that process' memory, and what is
 * measured must not carry it. Packages are not bundled: they are loaded as installed.
 */
export function compiled(entry: string): Promise<string> {
  const known = programs.get(entry) ?? compile(entry);
  programs.set(entry, known);
  return known;
}

async function compile(entry: string): Promise<string> {
  const outfile = path.join(root, '.synap/bench', `${path.relative(root, entry).replaceAll(/\W/g, '-')}.mjs`);
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node22',
    sourcemap: 'linked',
  });
  return outfile;
}
