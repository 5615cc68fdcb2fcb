import { once } from 'node:events';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { withMutant } from '../faults/mutant.ts';
import { endChild, startChild } from '../faults/stack/child.ts';
import { mutations, type Mutation } from './mutation-list.ts';
import type { Outcome } from './run.ts';

// Takes one guard after the other out of a copy of the build and expects a run to go red, for the reason that the guard stands there
// for. A guard that can be taken out unnoticed is not proven.
const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    seed: { type: 'string', default: '1' },
    clients: { type: 'string', default: '30' },
    seconds: { type: 'string', default: '10' },
    // Before the ping every 30 s brings to light what its own guard should have healed.
    settle: { type: 'string', default: '8' },
  },
});
const say = (line: string) => process.stdout.write(`${line}\n`);

let running: Awaited<ReturnType<typeof startChild>> | undefined;

async function runMutant(dist: string): Promise<Outcome> {
  const { clients, seconds, seed, settle } = values;
  const args = ['--json', '--clients', clients, '--seconds', seconds, '--seed', seed, '--settle', settle];
  const child = await startChild(process.execPath, [path.join(import.meta.dirname, 'main.ts'), ...args], {
    env: { ...process.env, FAULTS_DIST: dist },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running = child;
  if (child.stdout === null) throw new Error('the run has no output');
  const [output] = await Promise.all([text(child.stdout), once(child, 'close')]);
  running = undefined;
  if (output === '') throw new Error('the run came to no verdict');
  return JSON.parse(output) as Outcome;
}

/** @returns what went red, or why the guard is not proven */
async function prove({ patches, expected }: Mutation): Promise<{ readonly isProven: boolean; readonly seen: string }> {
  const { violations } = await withMutant(patches, runMutant);
  return {
    isProven: violations.some(({ invariant }) => expected.includes(invariant)),
    seen:
      violations.length === 0
        ? 'nothing'
        : violations.map(({ invariant, count }) => `${invariant} × ${count}`).join(', '),
  };
}

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
say(`${'guard taken out'.padEnd(48)}went red`);
for (const mutation of chosen) {
  // One that does not fit, or whose run comes to nothing, is not proven; the others may be.
  const { isProven, seen } = await prove(mutation).catch((thrown: unknown) => ({
    isProven: false,
    seen: `no verdict: ${String(thrown)}`,
  }));
  isOk &&= isProven;
  say(
    `${mutation.guard.padEnd(48)}${seen}${isProven ? '' : `  NOT PROVEN, expected ${mutation.expected.join(' or ')}`}`,
  );
}
process.exitCode = isOk ? 0 : 1;
