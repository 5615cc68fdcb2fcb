import type { Bench, Figure, Measure, MeasureReport, Usage } from '../../measure.ts';
import { interleave, median, medianRatio } from '../../rounds.ts';
import type { Drained } from './contender.ts';
import { notes } from './notes.ts';
import { drainPeer } from './peer-process.ts';
import { drainSynap } from './synap-drain.ts';

const env = { WORKER_CONCURRENCY: '100' };
const separate = { processes: [['worker'], ['dispatcher']], env } as const;
const together = { processes: [['api', 'dispatcher', 'worker', 'realtime']], env } as const;

type Name = 'synap' | 'synapTogether' | 'dbos' | 'graphileWorker' | 'pgBoss' | 'bullMq';
type Samples = Record<Name, Drained[]>;

const titles: Record<Name, string> = {
  synap: 'Synap, a worker and a dispatcher',
  synapTogether: 'Synap, all roles in one process',
  dbos: 'DBOS, one-step workflow',
  graphileWorker: 'graphile-worker, no-op',
  pgBoss: 'pg-boss, no-op',
  bullMq: 'BullMQ, no-op',
};

/** Backlogs that take each contender some seconds. */
function contenders({ place, pick }: Bench): Record<Name, () => Promise<Drained>> {
  return {
    synap: () => drainSynap(place, separate, pick(20_000, 6_000)),
    synapTogether: () => drainSynap(place, together, pick(20_000, 6_000)),
    dbos: () => drainPeer(place, 'dbos', pick(5_000, 1_500), false),
    graphileWorker: () => drainPeer(place, 'graphile-worker', pick(200_000, 15_000), false),
    pgBoss: () => drainPeer(place, 'pg-boss', pick(200_000, 15_000), false),
    bullMq: () => drainPeer(place, 'bullmq', pick(200_000, 15_000), true),
  };
}

async function run(bench: Bench): Promise<MeasureReport> {
  const all = Object.entries(contenders(bench)) as [Name, () => Promise<Drained>][];
  const settled = Object.fromEntries(all.map(([name, drain]) => [name, () => settledRound(bench, name, drain)]));
  const samples = await interleave(bench, bench.pick(3, 1), settled as Record<Name, () => Promise<Drained>>);
  return { figures: figures(samples), plots: [plot(samples)], usage: usage(samples), notes, samples };
}

async function settledRound(bench: Bench, name: Name, drain: () => Promise<Drained>): Promise<Drained> {
  await bench.place.settle();
  const drained = await drain();
  bench.log(`${titles[name]}: ${Math.round(drained.perSecond)} jobs/s`);
  return drained;
}

const rates = (rounds: readonly Drained[]): number[] => rounds.map(({ perSecond }) => perSecond);

function figures(samples: Samples): Figure[] {
  const against = (id: string, ours: Name, peer: Name, atLeast?: number): Figure => {
    const judged = medianRatio(rates(samples[ours]), rates(samples[peer]));
    return {
      id: `jobs/${id}`,
      what: `durable jobs: ${titles[ours]}`,
      unit: '/s',
      synap: median(rates(samples[ours])),
      peer: { name: titles[peer], value: median(rates(samples[peer])) },
      ...(atLeast !== undefined && { aim: { text: `≥ ${atLeast} ×`, judged, atLeast } }),
      better: 'more',
    };
  };
  return [
    against('dbos', 'synap', 'dbos', 4),
    against('graphile-worker', 'synap', 'graphileWorker', 0.6),
    against('pg-boss', 'synap', 'pgBoss', 1),
    against('bullmq', 'synap', 'bullMq'),
    against('together', 'synapTogether', 'dbos'),
  ];
}

function plot(samples: Samples): MeasureReport['plots'][number] {
  const names = Object.keys(titles) as Name[];
  return {
    name: 'jobs',
    title: 'Jobs worked off per second',
    kind: 'bar',
    x: { label: '', categories: names.map((name) => titles[name]) },
    y: { label: 'jobs/s' },
    series: [{ name: 'median of the rounds', points: names.map((name, at) => [at, median(rates(samples[name]))]) }],
  };
}

function usage(samples: Samples): Usage[] {
  return (Object.keys(titles) as Name[]).flatMap((name) => {
    const last = samples[name].at(-1);
    return last === undefined ? [] : [{ contender: titles[name], processes: last.usage }];
  });
}

export const jobs: Measure = { name: 'jobs', title: 'Durable jobs per second', run };
