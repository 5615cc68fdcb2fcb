import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { report } from './report.ts';
import { runJitter } from './run.ts';
import { Site } from './site.ts';

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    settle: { type: 'string', default: '15' },
    json: { type: 'boolean', default: false },
  },
});

function numberOf(name: keyof typeof values, min: number): number {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value >= min) return value;
  process.stderr.write(`--${name} must be a whole number of at least ${min}\n`);
  process.exit(2);
}

const options = {
  clients: numberOf('clients', 12),
  seconds: numberOf('seconds', 5),
  seed: numberOf('seed', 0),
  settleMs: numberOf('settle', 1) * 1_000,
};
const directory = await mkdtemp(path.join(tmpdir(), 'synap-jitter-'));
// The database's own account must be able to pass through.
await chmod(directory, 0o711);
/** Also one that is still starting, so that an interruption finds it. */
const starting = Site.start(directory);
let ended: Promise<void> | undefined;
const end = (keep: boolean): Promise<void> =>
  (ended ??= (async () => {
    await (await starting.catch(() => undefined))?.stop();
    if (!keep) await rm(directory, { recursive: true, force: true });
  })());
let interrupted: Promise<void> | undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => {
    interrupted ??= end(false).finally(() => process.exit(130));
  });

try {
  const outcome = await runJitter(await starting, options);
  const isOk = outcome.violations.length === 0;
  await end(!isOk);
  const { promise: written, resolve } = Promise.withResolvers<void>();
  process.stdout.write(`${values.json ? JSON.stringify(outcome) : report(outcome)}\n`, () => resolve());
  await written;
  // Left to end by itself, Node 24 may wait for ever for a connection that was reset while it was being closed.
  process.exit(isOk ? 0 : 1);
} catch (thrown) {
  // What is taken down under a running run makes it fail, which nobody needs to hear of.
  if (interrupted === undefined) {
    process.stderr.write(`logs: ${directory}\n`);
    await end(true);
    throw thrown;
  }
  await interrupted;
}
