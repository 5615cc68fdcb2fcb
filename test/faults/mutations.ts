import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { withMutant } from './mutant.ts';
import { mutations, type Mutation } from './mutation-list.ts';
import type { Result } from './report.ts';
import { endChild, startChild } from './stack/child.ts';

// Takes one guard after the other out of a copy of the build and expects the suite to go red, for the reason that the guard stands
// there for. A guard that can be taken out unnoticed is not proven.
const { values } = parseArgs({
  options: { only: { type: 'string', multiple: true }, seed: { type: 'string', default: '1' } },
});
const say = (text: string) => process.stdout.write(`${text}\n`);

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
  const results = await withMutant(mutation.patches, (dist) => runMutant(dist, mutation));
  const violations = results.flatMap((result) => result.violations);
  const seen = [...new Set(violations.map(({ invariant }) => invariant))].join(', ');
  return {
    isProven: violations.some(({ invariant }) => mutation.expected.includes(invariant)),
    seen: seen === '' ? 'nothing' : seen,
  };
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
