import path from 'node:path';
import { driveHttp } from '../load/drive-http.ts';
import { Program } from '../load/program.ts';
import { batchBody, mintTokens, readFastShare } from '../load/work.ts';
import type { Bench, Measure, MeasureReport, ProcessUsage } from '../measure.ts';
import type { InsertPlan, InsertResult } from '../peers/raw-inserts.ts';
import { interleave, median, medianRatio } from '../rounds.ts';
import { productionFlags } from '../production.ts';
import { Synap, watchedStores } from '../synap.ts';
import { UsageWatch } from '../usage.ts';

const size = 100;
/** Each contender is given what suits it best. */
const concurrencies = [2, 4, 8, 16];
const peer = path.join(import.meta.dirname, '../peers/raw-inserts.ts');

interface Run {
  readonly connections: number;
  readonly rowsPerSecond: number;
}

interface Sample {
  readonly runs: readonly Run[];
  readonly best: Run;
  readonly usage: readonly ProcessUsage[];
  readonly fastShare?: number;
}

/** Events that come in batches, beside rows that are inserted into one table and nothing else. */
export const acceptsBatch: Measure = {
  name: 'accepts-batch',
  title: 'Durable accepts, a hundred events a request',
  async run(bench) {
    const samples = await interleave(bench, bench.pick(4, 1), {
      synap: () => measureSynap(bench),
      inserts: () => measureInserts(bench),
    });
    return report(samples.synap, samples.inserts);
  },
};

async function measureSynap(bench: Bench): Promise<Sample> {
  const { place, pick } = bench;
  const databaseUrl = await place.database({ isMigrated: true });
  await place.settle({ sparing: databaseUrl });
  const synap = await Synap.start(place, { databaseUrl, processes: [['api']] });
  try {
    const { url, pid, metricsUrl } = synap.one('api');
    const tokens = await mintTokens(synap);
    const plan = { origin: url, path: '/v1/events/batch', tokens, body: batchBody(size), status: 200 };
    const watch = await UsageWatch.start([{ name: 'api', pid }, ...watchedStores(place)]);
    const runs: Run[] = [];
    for (const connections of pick(concurrencies, [8])) {
      const times = { warmUpMs: 1_500, measureMs: pick(4_000, 2_000) };
      const { perSecond } = await driveHttp({ ...plan, ...times, connections });
      runs.push({ connections, rowsPerSecond: perSecond * size });
    }
    return { ...bestOf(runs), usage: await watch.stop(), fastShare: await readFastShare(metricsUrl) };
  } finally {
    await synap.stop();
  }
}

async function measureInserts({ place, pick }: Bench): Promise<Sample> {
  const databaseUrl = await place.database({ isMigrated: true });
  await place.settle({ sparing: databaseUrl });
  const program = await Program.start(peer, { name: 'pg', nodeFlags: productionFlags });
  try {
    const watch = await UsageWatch.start([{ name: program.name, pid: program.pid }, ...watchedStores(place)]);
    const runs: Run[] = [];
    for (const connections of pick(concurrencies, [4])) {
      const times = { warmUpMs: 1_500, measureMs: pick(4_000, 2_000) };
      const plan: InsertPlan = { databaseUrl, connections, rows: size, ...times };
      runs.push({ connections, rowsPerSecond: (await program.ask<InsertResult>('insert', plan)).rowsPerSecond });
    }
    return { ...bestOf(runs), usage: await watch.stop() };
  } finally {
    await program.stop();
  }
}

function bestOf(runs: readonly Run[]): Pick<Sample, 'runs' | 'best'> {
  const best = runs.reduce((a, b) => (b.rowsPerSecond > a.rowsPerSecond ? b : a));
  return { runs, best };
}

function report(synap: readonly Sample[], inserts: readonly Sample[]): MeasureReport {
  const ours = synap.map(({ best }) => best.rowsPerSecond);
  const theirs = inserts.map(({ best }) => best.rowsPerSecond);
  const points = (samples: readonly Sample[]) =>
    (samples[0]?.runs ?? []).map(
      ({ connections }, nth) =>
        [connections, median(samples.map(({ runs }) => runs[nth]?.rowsPerSecond ?? Number.NaN))] as const,
    );
  const share = median(synap.map(({ fastShare }) => fastShare ?? 0));
  return {
    figures: [
      {
        id: 'accepts/batch-100',
        what: 'durable accepts, 100 events a request',
        unit: '/s',
        synap: median(ours),
        peer: { name: 'pg, multi-row inserts into events alone', value: median(theirs) },
        aim: { text: '≥ 0.45 ×', judged: medianRatio(ours, theirs), atLeast: 0.45 },
        better: 'more',
      },
    ],
    plots: [
      {
        name: 'accepts-batch',
        title: 'Events accepted in batches of 100, rows inserted by 100',
        kind: 'line',
        x: { label: 'connections' },
        y: { label: 'rows/s' },
        series: [
          { name: 'Synap (HTTP)', points: points(synap) },
          { name: 'pg (inserts)', points: points(inserts) },
        ],
      },
    ],
    usage: [
      { contender: 'Synap', processes: synap.at(-1)?.usage ?? [] },
      { contender: 'pg', processes: inserts.at(-1)?.usage ?? [] },
    ],
    notes: [
      'Synap: one process with the role api, as in the measure of single accepts; each event with its job and its outbox row (three tables). The figure is that of the best number of connections in each round.',
      `Of its accepted events ${(share * 100).toFixed(0)} % went to Redis at once; the rest found the queue’s window (10,000) full, as in production when events come faster than they are handled, and waits in Postgres: unlike in the measure of single accepts, taking them to Redis is not part of the figure.`,
      'pg: rows of the same content into the same table `events` with its indexes, 100 a statement, prepared, as arrays through unnest, in one process without HTTP; the best number of connections in each round.',
    ],
    samples: { synap, inserts },
  };
}
