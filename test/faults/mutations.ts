import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { chmod } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { mutations, type Mutation } from './mutation-list.ts';
import type { Result } from './report.ts';
import { endChild, startChild } from './stack/child.ts';

// Takes one guard after the other out of a copy of the build and expects the suite to go red, for the reason that the guard stands
// there for. A guard that can be taken out unnoticed is not proven.
const { values } = parseArgs({
  options: { only: { type: 'string', multiple: true }, seed: { type: 'string', default: '1' } },
});
const root = path.resolve(import.meta.dirname, '../..');
const say = (text: string) => process.stdout.write(`${text}\n`);

/** A copy of the build without the guard, with what it finds beside it. */
async function mutate({ patches }: Mutation, directory: string): Promise<string> {
  const dist = path.join(directory, 'dist');
  await cp(path.join(root, 'dist'), dist, { recursive: true });
  for (const name of ['node_modules', 'prisma', 'package.json'])
    await symlink(path.join(root, name), path.join(directory, name));
  for (const { file, find, replace } of patches) {
    const target = path.join(dist, `${file}.js`);
    const text = await readFile(target, 'utf8');
    const [before, after, ...more] = text.split(find);
    if (before === undefined || after === undefined || more.length > 0)
      throw new Error(`${file} has "${find}" ${text.split(find).length - 1} times; a mutation must fit exactly once`);
    await writeFile(target, `${before}${replace}${after}`);
  }
  return dist;
}

async function runMutant(dist: string, { scenario }: Mutation): Promise<Result[]> {
  const child = await startChild(
    process.execPath,
    [path.join(import.meta.dirname, 'main.ts'), '--json', '--seed', values.seed, '--only', scenario],
    { env: { ...process.env, FAULTS_DIST: dist }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  running = child;
  const results: Result[] = [];
  if (child.stdout !== null)
    createInterface({ input: child.stdout }).on('line', (line) => results.push(JSON.parse(line) as Result));
  await once(child, 'close');
  running = undefined;
  return results;
}

/** @returns what went red, or why the guard is not proven */
async function prove(mutation: Mutation): Promise<{ readonly isProven: boolean; readonly seen: string }> {
  const directory = await mkdtemp(path.join(tmpdir(), 'synap-mutant-'));
  try {
    // The programs of Postgres' account do not come by here, but the build's own folder must be readable.
    await chmod(directory, 0o755);
    await mkdir(directory, { recursive: true });
    const results = await runMutant(await mutate(mutation, directory), mutation);
    const violations = results.flatMap((result) => result.violations);
    const seen = [...new Set(violations.map(({ invariant }) => invariant))].join(', ');
    return {
      isProven: violations.some(({ invariant }) => mutation.expected.includes(invariant)),
      seen: seen === '' ? 'nothing' : seen,
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

let running: Awaited<ReturnType<typeof startChild>> | undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(
    signal,
    () =>
      void (running === undefined ? Promise.resolve() : endChild(running, 'SIGTERM', 30_000)).finally(() =>
        process.exit(130),
      ),
  );

const wanted = values.only?.flatMap((list) => list.split(','));
const chosen = mutations.filter(({ guard }) => wanted === undefined || wanted.includes(guard));
let isOk = chosen.length > 0;
say(`${'guard taken out'.padEnd(44)}${'fault'.padEnd(44)}went red`);
for (const mutation of chosen) {
  const { isProven, seen } = await prove(mutation);
  isOk &&= isProven;
  const verdict = isProven ? '' : `  NOT PROVEN, expected ${mutation.expected.join(' or ')}`;
  say(`${mutation.guard.padEnd(44)}${mutation.scenario.padEnd(44)}${seen}${verdict}`);
}
process.exitCode = isOk ? 0 : 1;
