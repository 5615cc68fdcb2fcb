import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { root } from '../built.ts';
import type { Bench, Figure, Measure, MeasureReport } from '../measure.ts';
import { residentMb } from '../resident.ts';
import { interleave, median } from '../rounds.ts';
import { Synap, type RoleName } from '../synap.ts';
import { startWithOneCommand, type CommandStart } from './start-command.ts';

const roles: readonly RoleName[] = ['api', 'dispatcher', 'worker', 'realtime'];
/** The product itself with all its features, not the benchmark's two handlers. */
const program = path.join(root, 'dist/processes/main.js');

interface RoleStart {
  readonly readyMs: number;
  readonly memoryMb: number;
}

async function startRoles(bench: Bench, databaseUrl: string, started: readonly RoleName[]): Promise<RoleStart> {
  const beganAt = performance.now();
  const synap = await Synap.start(bench.place, { databaseUrl, program, processes: started.map((role) => [role]) });
  const readyMs = performance.now() - beganAt;
  const memoryMb = await residentMb(synap.processes[0]?.pid ?? 0);
  await synap.stop();
  return { readyMs, memoryMb };
}

async function measureRoles(bench: Bench) {
  const databaseUrl = await bench.place.database({ isMigrated: true });
  const start = (started: readonly RoleName[]) => () => startRoles(bench, databaseUrl, started);
  // The first to run a program reads it from the disk; who starts a role again finds its files in memory.
  await startRoles(bench, databaseUrl, ['api']);
  const samples = await interleave(bench, bench.pick(7, 2), {
    api: start(['api']),
    dispatcher: start(['dispatcher']),
    worker: start(['worker']),
    realtime: start(['realtime']),
    together: start(roles),
  });
  return samples;
}

/** In a folder that did not exist, and once more in the same. */
async function measureCommand(
  bench: Bench,
): Promise<{ readonly fresh: CommandStart[]; readonly again: CommandStart[] }> {
  const fresh: CommandStart[] = [];
  const again: CommandStart[] = [];
  const rounds = bench.pick(5, 1);
  for (let round = 1; round <= rounds; round += 1) {
    bench.log(`round ${round} of ${rounds}: bin/start`);
    const directory = await mkdtemp(path.join(tmpdir(), 'synap-bench-start-'));
    // Postgres does not run as root, and must be able to enter.
    await chmod(directory, 0o711);
    try {
      fresh.push(await startWithOneCommand(path.join(directory, 'synap')));
      again.push(await startWithOneCommand(path.join(directory, 'synap')));
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
  return { fresh, again };
}

function seconds(id: string, what: string, samplesMs: readonly number[], bound?: number): Figure {
  const synap = median(samplesMs) / 1_000;
  const aim = bound === undefined ? undefined : { text: `< ${bound} s`, judged: synap, atMost: bound };
  return { id: `start/${id}`, what, unit: 's', synap, better: 'less', ...(aim && { aim }) };
}

function memory(role: RoleName, samples: readonly RoleStart[]): Figure {
  const synap = median(samples.map(({ memoryMb }) => memoryMb));
  return { id: `start/${role}-memory`, what: `${role}: resident memory when ready`, unit: 'MB', synap, better: 'less' };
}

const readyOf = (samples: readonly { readonly readyMs: number }[]) => samples.map(({ readyMs }) => readyMs);
const notifiedOf = (samples: readonly CommandStart[]) => samples.map(({ notifiedMs }) => notifiedMs);

const notes = [
  'bin/start: from its spawn, in a checkout that is installed and built, until a client that connected as soon as anything answered has heard that its first note was created. First with a data folder that does not exist (initdb, all migrations), then again with the same folder.',
  'A role: production’s flags and settings, the product’s own program, Postgres (migrated) and Redis there; from spawn to /ready 200. Postgres and Redis have been asked before, and the files are in the page cache.',
  'All four at once share the machine’s two cores.',
];

export const start: Measure = {
  name: 'start',
  title: 'Starting',
  async run(bench): Promise<MeasureReport> {
    const command = await measureCommand(bench);
    const started = await measureRoles(bench);
    return {
      figures: [
        seconds('command', 'bin/start, no data yet → first notification', notifiedOf(command.fresh), 5),
        seconds('command-again', 'bin/start, data there → first notification', notifiedOf(command.again), 5),
        seconds('command-ready', 'bin/start, no data yet → ready', readyOf(command.fresh)),
        ...roles.map((role) => seconds(role, `${role}: spawn → ready`, readyOf(started[role]), 2)),
        seconds('together', 'all four roles at once: spawn → all ready', readyOf(started.together)),
        ...roles.map((role) => memory(role, started[role])),
      ],
      plots: [],
      usage: [],
      notes,
      samples: { command, roles: started },
    };
  },
};
