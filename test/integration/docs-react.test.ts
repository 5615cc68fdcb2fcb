import { afterAll, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { titledBlocks } from '../support/markdown.js';

// docs/react.md: its files are written to a folder inside the repository, so that they find React's types, and compiled.

let folder: string | undefined;
afterAll(async () => {
  if (folder !== undefined) await rm(folder, { recursive: true });
});

test('every file of docs/react.md compiles against the hooks as it stands there', async () => {
  const blocks = titledBlocks(await readFile('docs/react.md', 'utf8'));
  expect(blocks.map(({ file }) => file)).toEqual(
    expect.arrayContaining(['app.tsx', 'new-note.tsx', 'answer.tsx', 'inbox.tsx', 'page.tsx']),
  );
  await mkdir('.synap', { recursive: true });
  folder = await mkdtemp(path.join('.synap', 'docs-react-'));
  for (const { file, text } of blocks) await writeFile(path.join(folder, file), text);
  const paths = { 'synap/react': ['../../src/client/react/index.ts'] };
  const config = { extends: '../../examples/tsconfig.json', compilerOptions: { paths }, include: ['.'] };
  await writeFile(path.join(folder, 'tsconfig.json'), JSON.stringify(config));
  const tsc = ['node_modules/typescript/bin/tsc', '-p', folder, '--noEmit'];
  const said = await promisify(execFile)(process.execPath, tsc).then(
    ({ stdout }) => stdout,
    ({ stdout }: { stdout: string }) => stdout,
  );
  expect(said).toBe('');
}, 60_000);
