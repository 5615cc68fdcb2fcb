import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { calm } from './scenarios/calm.ts';
import { scenarios } from './scenarios/index.ts';
import { Suite } from './suite.ts';
import type { Scenario } from './scenario.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    list: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    // Logs go also where something was wrong: whoever took a guard out knows what.
    discard: { type: 'boolean', default: false },
  },
});

/** Names, or their beginnings with a `*`. */
function choose(only: readonly string[] | undefined): readonly Scenario[] {
  if (only === undefined) return scenarios;
  const wanted = only.flatMap((list) => list.split(',')).map((name) => name.trim());
  const fits = (name: string) => (pattern: string) =>
    pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
  const chosen = scenarios.filter(({ name }) => wanted.some(fits(name)));
  // The first row is always there.
  if (chosen.length === 0 && !wanted.includes(calm.name))
    throw new Error(`no fault is named ${wanted.join(', ')}; --list names them`);
  return chosen;
}

if (values.list) {
  for (const { name } of scenarios) process.stdout.write(`${name}\n`);
} else {
  const directory = await mkdtemp(path.join(tmpdir(), 'synap-faults-'));
  // The database's own account must be able to pass through.
  await chmod(directory, 0o711);
  const suite = new Suite({ directory, seed: Number(values.seed), isJson: values.json, doesDiscard: values.discard });
  let interrupted: Promise<void> | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => {
      interrupted ??= suite.end({ keep: false }).finally(() => process.exit(130));
    });
  try {
    process.exitCode = (await suite.run(choose(values.only))) ? 0 : 1;
  } catch (thrown) {
    // What is taken down under a running scenario makes it fail, which nobody needs to hear of.
    if (interrupted === undefined) throw thrown;
    await interrupted;
  }
}
