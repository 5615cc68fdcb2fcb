import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

// The client as somebody else's program has it: imported by the package's name, types and bundle included.

const run = promisify(execFile);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'synap-package-'));
  const modules = path.resolve('node_modules');
  // What `npm install` would make of it: the package under its name, beside what it depends on.
  await run('mkdir', ['-p', path.join(folder, 'node_modules')]);
  await symlink(process.cwd(), path.join(folder, 'node_modules/synap'));
  for (const name of ['socket.io-client', '@types', 'zod'])
    await symlink(path.join(modules, name), path.join(folder, 'node_modules', name));
  await writeFile(path.join(folder, 'package.json'), '{"type":"module"}');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function bundle(source: string, external: string[] = []): Promise<{ bytes: Uint8Array; inputs: string[] }> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: source, resolveDir: folder },
    ...{ bundle: true, minify: true, format: 'esm', platform: 'browser', write: false, metafile: true, external },
    // As npm would lay it out; here the package is a link.
    preserveSymlinks: true,
  });
  return { bytes: outputFiles[0]!.contents, inputs: Object.keys(metafile.inputs) };
}

test('a bundle for browsers has nothing of the server in it, and is as small as docs/client.md says', async () => {
  const { bytes, inputs } = await bundle(
    `import { createSynapClient } from 'synap/client'; createSynapClient({ token: 'x' });`,
    ['socket.io-client'],
  );
  expect(inputs.filter((file) => /zod|dist\/(?!client\/)|node:/.test(file))).toEqual([]);
  const kilobytes = gzipSync(bytes).length / 1_000;
  const [, said = '0'] = /(\d+) KB gzipped/.exec(await readFile('docs/client.md', 'utf8')) ?? [];
  expect(kilobytes).toBeLessThan(Number(said));
  expect(kilobytes).toBeGreaterThan(Number(said) - 2);
});

test('who imports only the error bundles nothing of the client', async () => {
  const { bytes } = await bundle(`import { SynapClientError } from 'synap/client'; console.log(SynapClientError);`, [
    'socket.io-client',
  ]);
  expect(bytes.length).toBeLessThan(500);
});

test('a TypeScript program is checked against its types', async () => {
  const good = `import { createSynapClient, type RequestEnd } from 'synap/client';
    const client = createSynapClient({ url: 'http://localhost:3000', token: () => Promise.resolve('x') });
    export const end: Promise<RequestEnd> = client.waitFor(client.send({ type: 'a.b.c', data: {} }).requestId);`;
  await writeFile(path.join(folder, 'good.ts'), good);
  await writeFile(path.join(folder, 'bad.ts'), good.replace('waitFor', 'waitForever'));
  const options = [
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2024',
    '--types',
    'node',
    '--skipLibCheck',
  ];
  const check = (file: string) =>
    run(process.execPath, [path.resolve('node_modules/typescript/bin/tsc'), ...options, file], { cwd: folder });
  await check('good.ts');
  await expect(check('bad.ts')).rejects.toMatchObject({ stdout: expect.stringContaining('waitForever') });
});
