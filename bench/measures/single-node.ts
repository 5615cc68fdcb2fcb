import { built } from '../built.ts';
import { Echo } from '../load/echo/echo.ts';
import type { EchoResult } from '../load/echo/questions.ts';
import { toLatencies } from '../load/latencies.ts';
import type { Bench, Figure, Measure, ProcessUsage } from '../measure.ts';
import { interleave, median } from '../rounds.ts';
import { Synap } from '../synap.ts';
import { UsageWatch } from '../usage.ts';

const { migrateQueues } = await built('queues/postgres-store');

const userCount = 100;
const steadyRate = 50;
/** Events under way in the closed loop: enough for full batches, few enough that none waits for long. */
const atOnce = 200;

interface Sample {
  readonly perSecond: number;
  readonly steady: EchoResult;
  readonly processes: readonly ProcessUsage[];
}

/** One process with all roles: what its queues and fan-out cost on Postgres alone, beside the same process on Redis. */
export const singleNode: Measure = {
  name: 'single-node',
  title: 'A single node on Postgres alone',
  async run(bench) {
    const { alone, redis } = await interleave(bench, bench.pick(3, 1), {
      alone: () => measure(bench, true),
      redis: () => measure(bench, false),
    });
    const usage = [
      { contender: 'Postgres alone, closed loop', processes: alone[0]?.processes ?? [] },
      { contender: 'with Redis, closed loop', processes: redis[0]?.processes ?? [] },
    ];
    return {
      figures: toFigures(alone, redis),
      plots: [],
      usage,
      notes: [
        `Synap is Synap on Postgres alone here, the peer is Synap with Redis: one process with all roles each, ${userCount} users with a socket each. Throughput: a fixed number of events, ${atOnce} of them under way at a time, counted when the notification is there. Latency: Poisson arrivals at ${steadyRate}/s.`,
      ],
      samples: { alone: alone.map(toSample), redis: redis.map(toSample) },
    };
  },
};

async function measure(bench: Bench, isOnPostgresAlone: boolean): Promise<Sample> {
  const { place } = bench;
  await place.settle();
  const databaseUrl = await place.database({ isMigrated: true });
  await migrateQueues(databaseUrl);
  const synap = await Synap.start(place, {
    databaseUrl,
    processes: [['api', 'dispatcher', 'worker', 'realtime']],
    isOnPostgresAlone,
  });
  try {
    const { url } = synap.one('api');
    const users = Array.from({ length: userCount }, (_, nth) => `user-${nth + 1}`);
    const tokens = await Promise.all(users.map((user) => synap.mint(user)));
    const echo = await Echo.start({ postUrl: url, socketUrl: url, tokens });
    try {
      return await load(bench, synap, echo);
    } finally {
      await echo.stop();
    }
  } finally {
    await synap.stop();
  }
}

async function load(bench: Bench, synap: Synap, echo: Echo): Promise<Sample> {
  await echo.closed({ total: bench.pick(3_000, 500), atOnce });
  const steady = await echo.open({ rate: steadyRate, seconds: bench.pick(7, 3), seed: bench.random.below(2 ** 31) });
  const usage = await UsageWatch.start(synap.watched(bench.place));
  const closed = await echo.closed({ total: bench.pick(6_000, 1_500), atOnce });
  const processes = await usage.stop();
  for (const { lost, refused, repeated } of [steady, closed]) {
    if (lost + refused + repeated > 0) throw new Error(`${lost} were lost, ${refused} refused, ${repeated} repeated`);
  }
  const perSecond = closed.sent / closed.seconds;
  bench.log(`  ${perSecond.toFixed(0)}/s; at ${steadyRate}/s p50 ${toLatencies(steady.latenciesUs).p50.toFixed(1)} ms`);
  return { perSecond, steady, processes };
}

function toFigures(alone: readonly Sample[], redis: readonly Sample[]): Figure[] {
  const perSecond = (samples: readonly Sample[]) => median(samples.map((sample) => sample.perSecond));
  const latency = (samples: readonly Sample[], key: 'p50' | 'p99') =>
    median(samples.map(({ steady }) => toLatencies(steady.latenciesUs)[key]));
  const figure = (
    id: string,
    what: string,
    unit: string,
    better: Figure['better'],
    of: (samples: readonly Sample[]) => number,
  ) => ({
    id: `single-node/${id}`,
    what,
    unit,
    synap: of(alone),
    peer: { name: 'Synap with Redis', value: of(redis) },
    better,
  });
  return [
    figure('throughput', 'events posted, handled and notified, on Postgres alone', '/s', 'more', perSecond),
    figure('p50', `POST → notification at ${steadyRate}/s on Postgres alone, p50`, 'ms', 'less', (of) =>
      latency(of, 'p50'),
    ),
    figure('p99', `POST → notification at ${steadyRate}/s on Postgres alone, p99`, 'ms', 'less', (of) =>
      latency(of, 'p99'),
    ),
  ];
}

function toSample({ perSecond, steady, processes }: Sample) {
  const { latenciesUs, acceptsUs, ...counts } = steady;
  return {
    perSecond,
    steady: { ...counts, latencyMs: toLatencies(latenciesUs), acceptMs: toLatencies(acceptsUs) },
    processes,
  };
}
