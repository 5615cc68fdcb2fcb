import { mkdir, mkdtemp, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import type { Bench, Measure, MeasureReport } from '../measure.ts';
import { compiled } from '../compiled.ts';
import { effectsTable } from '../app/feature.ts';
import { foldProfile, type CpuProfile, type Frame } from '../profile/cpuprofile.ts';
import { drawFlame } from '../profile/flame.ts';
import { SteadyLoad } from '../profile/load.ts';
import { differ, takeSnapshots, type Window } from '../profile/snapshot.ts';
import { differStores, StoreWatch } from '../profile/stores.ts';
import { forgetStatements, readStatements, timeStatements } from '../profile/timed-statements.ts';
import { costTables, processorUs, type Findings } from '../profile/tables.ts';
import { Synap, type RoleName, type SynapProcess } from '../synap.ts';
import { UsageWatch } from '../usage.ts';

const rate = 500;
const roles: readonly (readonly RoleName[])[] = [['api'], ['dispatcher'], ['worker'], ['realtime']];
const preload = path.join(import.meta.dirname, '../profile/preload.ts');

/** Where the time of one event goes; it explains the figures and has no aim. */
export const profile: Measure = {
  name: 'profile',
  title: 'What one event costs',
  isSkippedInQuick: true,
  run: runProfile,
};

async function runProfile(bench: Bench): Promise<MeasureReport> {
  const directory = await mkdtemp(path.join(bench.place.directory, 'profile-'));
  bench.log(`usage and the stores' own counts at ${rate}/s`);
  const plain = await measurePlain(bench);
  bench.log('counting statements and bytes');
  const counted = await measureSent(bench, directory);
  bench.log('processor profiles');
  const profiled = await measureProfiles(bench, directory);
  const ports = { postgres: plain.postgresPort, redis: bench.place.redis.port };
  const findings: Findings = { plain, counted, profiled, ports };
  const total = plain.usage.reduce((sum, { name }) => sum + processorUs(plain, name), 0);
  return {
    figures: [
      {
        id: 'profile/processor-per-event',
        what: `processor time of one event from POST to socket at ${rate}/s, all processes with Postgres and Redis`,
        unit: 'µs',
        synap: total,
        better: 'less',
      },
    ],
    plots: [],
    graphics: profiled.profiles.map(({ name, frame }) => ({
      name: `flame-${roleOf(name)}`,
      title: `${roleOf(name)} at ${rate} events/s: where its processor time goes`,
      svg: drawFlame(`${roleOf(name)} at ${rate} events/s: where its processor time goes`, frame),
    })),
    tables: costTables(findings),
    usage: [{ contender: `Synap at ${rate}/s`, processes: plain.usage }],
    notes: [
      `Open loop, ${rate}/s of \`bench.work.requested\` (one transactional step, one emitted event, one notification in two rooms), 100 users with a socket each; every accepted event was heard of.`,
      'Three rounds: one untouched (processor, memory, what Postgres and Redis count), one that counts what each process sends (a preload around `pg` and sockets) and has Postgres time its statements, one with `--cpu-prof`; only the first gives processor time by process.',
      'A write is one flush of a socket, however many commands are in it: an upper bound of the round trips. Event-loop delay includes the 1 ms of the timer that measures it.',
    ],
    samples: {
      plain: { events: plain.events, usage: plain.usage },
      counted: counted.events,
      profiled: profiled.events,
    },
  };
}

/** A Synap of four processes under the load; what it is asked for happens between two calls around the measured window. */
async function underLoad<Before, Result>(
  bench: Bench,
  options: { readonly nodeFlags?: readonly string[]; readonly env?: Readonly<Record<string, string>> },
  around: {
    readonly prepare?: (databaseUrl: string) => Promise<void>;
    readonly before: (synap: Synap, databaseUrl: string) => Promise<Before>;
    readonly after: (before: Before, events: number, synap: Synap, databaseUrl: string) => Promise<Result>;
  },
): Promise<{ readonly result: Result; readonly processes: readonly SynapProcess[] }> {
  const { place, pick, random } = bench;
  const databaseUrl = await place.database({ isMigrated: true });
  await createEffects(databaseUrl);
  await around.prepare?.(databaseUrl);
  await place.settle({ sparing: databaseUrl });
  const synap = await Synap.start(place, { databaseUrl, processes: roles, ...options });
  try {
    const load = await SteadyLoad.connect(synap, random);
    try {
      await load.run(rate, pick(6, 2));
      await load.drain();
      const before = await around.before(synap, databaseUrl);
      const events = await load.run(rate, pick(15, 4));
      await load.drain();
      if (load.refused > 0) bench.log(`${load.refused} posts were refused: this machine does not carry ${rate}/s`);
      return { result: await around.after(before, events, synap, databaseUrl), processes: synap.processes };
    } finally {
      await load.close();
    }
  } finally {
    await synap.stop();
  }
}

async function createEffects(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(effectsTable);
  await client.end();
}

async function measurePlain(bench: Bench): Promise<Findings['plain'] & { readonly postgresPort: number }> {
  const { result } = await underLoad(
    bench,
    {},
    {
      before: async (synap, databaseUrl) => {
        const stores = new StoreWatch(bench.place, databaseUrl);
        const totals = await stores.totals();
        const watch = await UsageWatch.start(synap.watched(bench.place));
        return { stores, totals, watch, beganAt: performance.now(), postgresPort: Number(new URL(databaseUrl).port) };
      },
      after: async ({ stores, totals, watch, beganAt, postgresPort }, events) => {
        const usage = await watch.stop();
        const seconds = (performance.now() - beganAt) / 1_000;
        const cost = differStores(totals, await stores.totals());
        return { events, seconds, usage, stores: cost, postgresPort };
      },
    },
  );
  return result;
}

async function measureSent(bench: Bench, directory: string): Promise<Findings['counted']> {
  const { result } = await underLoad(
    bench,
    { nodeFlags: ['--import', await compiled(preload)], env: { BENCH_PROFILE_DIR: directory } },
    {
      prepare: timeStatements,
      before: async (synap, databaseUrl) => {
        await forgetStatements(databaseUrl);
        return takeSnapshots(synap.processes, directory, 1);
      },
      after: async (before, events, synap, databaseUrl) => {
        const timed = await readStatements(databaseUrl);
        const after = await takeSnapshots(synap.processes, directory, 2);
        const windows = synap.processes.flatMap((process, index): Window[] => {
          const [first, second] = [before[index], after[index]];
          return first === undefined || second === undefined ? [] : [differ(process, first, second)];
        });
        return { events, windows, timed };
      },
    },
  );
  return result;
}

/** The profile is written when the process ends; of it, the window counts. Its times are on the clock of `process.hrtime`. */
async function measureProfiles(bench: Bench, directory: string): Promise<Findings['profiled']> {
  const into = path.join(directory, 'cpu');
  await mkdir(into);
  const { result, processes } = await underLoad(
    bench,
    { nodeFlags: ['--cpu-prof', `--cpu-prof-dir=${into}`, '--cpu-prof-interval=500'] },
    {
      before: () => Promise.resolve(nowUs()),
      after: (from, events) => Promise.resolve({ events, from, to: nowUs() }),
    },
  );
  const files = await readdir(into);
  const profiles = await Promise.all(
    processes.map(async ({ name, pid }): Promise<{ name: string; frame: Frame }> => {
      // CPU.<day>.<time>.<pid>.<thread>.<number>.cpuprofile; the watchdog's thread has one of its own.
      const file = files.find((candidate) => candidate.includes(`.${pid}.0.`));
      if (file === undefined) throw new Error(`${name} left no profile`);
      const parsed = JSON.parse(await readFile(path.join(into, file), 'utf8')) as CpuProfile;
      return { name, frame: foldProfile(parsed, result.from, result.to) };
    }),
  );
  return { events: result.events, profiles };
}

/** `worker-3` */
const roleOf = (name: string): string => name.replace(/-\d+$/, '');

const nowUs = (): number => Number(process.hrtime.bigint() / 1_000n);
