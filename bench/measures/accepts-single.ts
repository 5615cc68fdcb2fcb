import path from 'node:path';
import { driveHttp } from '../load/drive-http.ts';
import type { LoadPlan, LoadResult } from '../load/plan.ts';
import { Program } from '../load/program.ts';
import { mintTokens, readFastShare, singleBody, takingJobs } from '../load/work.ts';
import type { Bench, Measure, MeasureReport, ProcessUsage } from '../measure.ts';
import { interleave, median, medianRatio } from '../rounds.ts';
import { productionFlags } from '../production.ts';
import { Synap, watchedStores } from '../synap.ts';
import { UsageWatch } from '../usage.ts';

const few = 64;
const many = 512;
const peer = path.join(import.meta.dirname, '../peers/bare-express.ts');

interface Sample {
  readonly few: LoadResult;
  readonly many: LoadResult;
  /** At half of what `few` carried. */
  readonly half: LoadResult;
  /** While `few` ran. */
  readonly usage: readonly ProcessUsage[];
  readonly fastShare?: number;
}

/** Events that come alone, each committed before its 202, beside answers for which nothing is done. */
export const acceptsSingle: Measure = {
  name: 'accepts-single',
  title: 'Durable accepts, one event a request',
  async run(bench) {
    const samples = await interleave(bench, bench.pick(4, 1), {
      synap: (round) => measureSynap(bench, round),
      express: (round) => measureExpress(bench, round),
    });
    return report(samples.synap, samples.express);
  },
};

async function measureSynap(bench: Bench, round: number): Promise<Sample> {
  const { place } = bench;
  const databaseUrl = await place.database({ isMigrated: true });
  await place.settle({ sparing: databaseUrl });
  const synap = await Synap.start(place, { databaseUrl, processes: [['api']] });
  try {
    const { url, pid, metricsUrl } = synap.one('api');
    const tokens = await mintTokens(synap);
    const watched = [{ name: 'api', pid }, ...watchedStores(place)];
    const sample = await takingJobs(place, () => measureLoads(bench, { round, origin: url, tokens, watched }));
    return { ...sample, fastShare: await readFastShare(metricsUrl) };
  } finally {
    await synap.stop();
  }
}

async function measureExpress(bench: Bench, round: number): Promise<Sample> {
  await bench.place.settle();
  const express = await Program.start(peer, { name: 'express', nodeFlags: productionFlags });
  try {
    const port = await express.ask<number>('listen');
    // Nobody reads them, but they come over the wire alike.
    const tokens = [Buffer.alloc(160, 'x').toString()];
    const watched = [{ name: express.name, pid: express.pid }];
    return await measureLoads(bench, { round, origin: `http://127.0.0.1:${port}`, tokens, watched });
  } finally {
    await express.stop();
  }
}

interface Target extends Pick<LoadPlan, 'origin' | 'tokens'> {
  readonly round: number;
  readonly watched: Parameters<typeof UsageWatch.start>[0];
}

async function measureLoads({ pick }: Bench, { round, watched, ...target }: Target): Promise<Sample> {
  const plan: Omit<LoadPlan, 'connections' | 'warmUpMs' | 'measureMs'> = {
    ...target,
    path: '/v1/events',
    body: singleBody,
    status: 202,
  };
  const measureMs = pick(6_000, 1_500);
  const watch = await UsageWatch.start(watched);
  const ofFew = await driveHttp({ ...plan, connections: few, warmUpMs: pick(3_000, 1_500), measureMs });
  const usage = await watch.stop();
  const ofMany = await driveHttp({ ...plan, connections: many, warmUpMs: pick(1_500, 500), measureMs });
  const arrivals = { perSecond: ofFew.perSecond / 2, seed: round };
  const half = await driveHttp({ ...plan, connections: many, warmUpMs: pick(1_500, 500), measureMs, arrivals });
  return { few: ofFew, many: ofMany, half, usage };
}

function report(synap: readonly Sample[], express: readonly Sample[]): MeasureReport {
  const throughput = (key: 'few' | 'many', connections: number) => {
    const ours = synap.map((sample) => sample[key].perSecond);
    const theirs = express.map((sample) => sample[key].perSecond);
    return {
      id: `accepts/single-${connections}`,
      what: `durable accepts, one event a request, ${connections} connections`,
      unit: '/s',
      synap: median(ours),
      peer: { name: 'bare Express', value: median(theirs) },
      aim: { text: '≥ 0.60 ×', judged: medianRatio(ours, theirs), atLeast: 0.6 },
      better: 'more',
    } as const;
  };
  const p99 = median(synap.map(({ half }) => half.latency.p99));
  const percentiles = ['p50', 'p90', 'p99', 'p999'] as const;
  const latencies = (samples: readonly Sample[]) =>
    percentiles.map((name, nth) => [nth, median(samples.map(({ half }) => half.latency[name]))] as const);
  return {
    figures: [
      throughput('few', few),
      throughput('many', many),
      {
        id: 'accepts/single-p99-at-half-load',
        what: 'latency of an accept at half of the load that 64 connections carry, p99',
        unit: 'ms',
        synap: p99,
        peer: { name: 'bare Express at half of its own', value: median(express.map(({ half }) => half.latency.p99)) },
        aim: { text: '< 50 ms', judged: p99, atMost: 50 },
        better: 'less',
      },
    ],
    plots: [
      {
        name: 'accepts-latency',
        title: 'Latency of an accept at half load, from its planned time',
        kind: 'bar',
        x: { label: 'percentile', categories: percentiles.map((name) => name.replace('p999', 'p99.9')) },
        y: { label: 'ms', isLog: true },
        series: [
          { name: 'Synap', points: latencies(synap) },
          { name: 'bare Express', points: latencies(express) },
        ],
      },
    ],
    usage: [
      { contender: 'Synap', processes: synap.at(-1)?.usage ?? [] },
      { contender: 'bare Express', processes: express.at(-1)?.usage ?? [] },
    ],
    notes: notesOn(synap),
    samples: { synap, express },
  };
}

function notesOn(synap: readonly Sample[]): string[] {
  const share = median(synap.map(({ fastShare }) => fastShare ?? 0));
  return [
    'Synap: one process with the role api, production’s flags and settings, rate limits too high to refuse, log level info to a file; tokens of 1,000 users; each event has a job.',
    `Of its accepted events ${(share * 100).toFixed(0)} % went to Redis at once (the fast path). Redis is emptied five times a second, in the place of workers, so that the queue never reaches its window: a full one would spare that work.`,
    'Bare Express: Express 5, its JSON parser and zod on the same body, without ETag and X-Powered-By, one process, the same flags; no authentication, no log, no limit, nothing stored.',
    'Load: bare keep-alive sockets in one process of its own, one request in flight on each; at half load a Poisson process over at most 512 connections, latency from the planned time.',
  ];
}
