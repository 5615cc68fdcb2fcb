import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { eventually } from '../../test/support/signals.ts';
import { effectsTable } from '../app/feature.ts';
import type { Bench, Measure, MeasureReport, ProcessUsage } from '../measure.ts';
import { interleave } from '../rounds.ts';
import { Synap, type SynapOptions } from '../synap.ts';
import { UsageWatch } from '../usage.ts';
import { measureCosts } from './costs.ts';
import { fill } from './fill.ts';
import { backlogQueue, type Amounts } from './fill-statements.ts';
import { reportOf } from './figures.ts';
import { applyLoad } from './generator.ts';
import type { LoadPlan, LoadResult } from './plan.ts';
import { checkResume } from './resume.ts';
import { Store, type Counters } from './stores.ts';

export interface Round extends Omit<LoadResult, 'eventIds' | 'jobIds'> {
  /** By the database, from the commit of the event to the end of its job. */
  readonly job: { readonly p50: number; readonly p99: number; readonly mean: number };
  readonly jobsPerSecond: number;
  readonly before: Counters;
  readonly after: Counters;
  readonly usage: readonly ProcessUsage[];
}

interface Contender {
  readonly name: 'empty' | 'filled';
  readonly databaseUrl: string;
  readonly store: Store;
}

const program = path.join(import.meta.dirname, 'app/main.ts');

const whole: Amounts = { events: 10_000_000, waiting: 1_000_000, notifications: 1_000_000 };
const small: Amounts = { events: 100_000, waiting: 20_000, notifications: 10_000 };

/** The same load against an empty database and one with a month of events and a backlog of a million jobs. */
export const filledMeasure: Measure = {
  name: 'filled',
  title: 'With 10 million events and a million jobs waiting',
  run: (bench) => run(bench, bench.pick(whole, small)),
};

async function run(bench: Bench, amounts: Amounts): Promise<MeasureReport> {
  const [empty, filled] = await Promise.all([open(bench, 'empty'), open(bench, 'filled')]);
  try {
    const how = await fill(filled.databaseUrl, amounts, bench.log);
    await eventuallyIdle(filled.store);
    const rounds = await interleave(bench, bench.pick(5, 1), {
      empty: (round) => runRound(bench, empty, round),
      filled: (round) => runRound(bench, filled, round),
    });
    const left = await filled.store.waiting(backlogQueue);
    const costs = await measureCosts(bench, optionsOf(empty), empty.store, (synap) => planOf(bench, synap, 0));
    return reportOf({ amounts, filled: how, left, rounds, costs });
  } finally {
    await Promise.all([empty.store.close(), filled.store.close()]);
  }
}

async function open({ place }: Bench, name: Contender['name']): Promise<Contender> {
  const databaseUrl = await place.database({ isMigrated: true });
  const store = await Store.open(databaseUrl);
  await store.run(effectsTable);
  return { name, databaseUrl, store };
}

/** Each contender keeps its keys in Redis from round to round: what is in the window of the backlog's queue stays there, as it would. */
function optionsOf({ name, databaseUrl }: Contender): SynapOptions {
  return {
    databaseUrl,
    processes: [['api'], ['dispatcher'], ['worker'], ['realtime']],
    program,
    env: { QUEUE_PREFIX: `soak-${name}`, QUEUE_CONCURRENCY: `${backlogQueue}=2` },
  };
}

async function runRound(bench: Bench, contender: Contender, round: number): Promise<Round> {
  const { place } = bench;
  const { store } = contender;
  await store.run('CHECKPOINT');
  const synap = await Synap.start(place, optionsOf(contender));
  try {
    // The window of the backlog's queue is filled once; nobody measures that.
    await wait(bench.pick(4_000, 2_000));
    const before = await store.counters();
    const watch = await UsageWatch.start(synap.watched(place));
    const load = await applyLoad(await planOf(bench, synap, round));
    const usage = await watch.stop();
    await eventually(
      async () => ((await store.unfinishedOf(load.jobIds)) === 0 ? true : undefined),
      'the jobs to be finished',
      120_000,
    );
    const after = await store.counters();
    if (contender.name === 'filled') await checkRoom(contender, synap);
    const { eventIds, jobIds, ...rest } = load;
    const [job, jobsPerSecond] = [await store.jobLatency(eventIds), await store.jobsPerSecond(jobIds)];
    return { ...rest, job, jobsPerSecond, before, after, usage };
  } finally {
    await synap.stop();
  }
}

const users = 200;

async function planOf(bench: Bench, synap: Synap, round: number): Promise<LoadPlan> {
  // Of those who have much and of those who have little.
  const ids = Array.from({ length: users }, (_, index) => `user-${index * 100 + 7}`);
  return {
    seed: bench.random.below(1_000_000_000) + round,
    apiUrl: synap.one('api').url,
    realtimeUrl: synap.one('realtime').url,
    users: await Promise.all(ids.map(async (id) => ({ id, token: await synap.mint(id) }))),
    ratePerSecond: 200,
    highPerSecond: 5,
    warmUpMs: bench.pick(5_000, 2_000),
    measuredMs: bench.pick(20_000, 5_000),
    acceptConnections: 64,
    acceptMs: bench.pick(8_000, 2_000),
    jobs: bench.pick(10_000, 2_000),
  };
}

const missed = 20;

async function checkRoom({ store }: Contender, synap: Synap): Promise<void> {
  const { key, epoch, lastSeq } = await store.room(missed + 1);
  const userId = key.slice('u:'.length);
  const { url } = synap.one('realtime');
  await checkResume({ url, token: await synap.mint(userId), userId, epoch, lastSeq, missed });
}

/** Autovacuum may follow the filling; what it does is not the round's. */
async function eventuallyIdle(store: Store): Promise<void> {
  await eventually(async () => ((await store.isVacuuming()) ? undefined : true), 'autovacuum to rest', 120_000);
}
