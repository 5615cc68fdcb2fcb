import { toCurve, toHistogram, toLatencies, type Latencies } from '../load/latencies.ts';
import type { EchoResult } from '../load/echo/questions.ts';
import { Echo } from '../load/echo/echo.ts';
import type { Bench, Figure, Measure, MeasureReport, Plot, ProcessUsage } from '../measure.ts';
import { HandMade } from '../peers/hand-made/stack.ts';
import { interleave, median } from '../rounds.ts';
import { Synap } from '../synap.ts';
import { UsageWatch, type Watched } from '../usage.ts';

const userCount = 200;
const judgedRate = 500;

/** What one rate of one round came to. */
interface AtRate {
  readonly rate: number;
  readonly result: EchoResult;
  readonly isSustained: boolean;
  readonly processes: readonly ProcessUsage[];
}

interface Stack {
  readonly postUrl: string;
  readonly socketUrl: string;
  readonly watched: readonly Watched[];
  readonly tokens: readonly string[];
}

/** From the POST to the notification in the browser's callback, all roles as processes, arrivals as planned beforehand. */
export const endToEnd: Measure = {
  name: 'end-to-end',
  title: 'From the POST to the notification at a socket',
  async run(bench) {
    const rates = bench.pick([100, 500, 1_000], [judgedRate]);
    const seconds = bench.pick(7, 4);
    const samples = await interleave(bench, bench.pick(3, 1), {
      synap: () => measureSynap(bench, rates, seconds),
      'hand-made': () => measureHandMade(bench, rates, seconds),
    });
    return report(rates, samples['synap'], samples['hand-made']);
  },
};

async function measureSynap(bench: Bench, rates: readonly number[], seconds: number): Promise<AtRate[]> {
  const { place } = bench;
  await place.settle();
  const databaseUrl = await place.database({ isMigrated: true });
  const synap = await Synap.start(place, {
    databaseUrl,
    processes: [['api'], ['dispatcher'], ['worker'], ['realtime']],
  });
  try {
    const measured = await measure(bench, rates, seconds, {
      postUrl: synap.one('api').url,
      socketUrl: synap.one('realtime').url,
      watched: synap.watched(place),
      tokens: await Promise.all(users.map((user) => synap.mint(user))),
    });
    for (const { rate, result } of measured) {
      if (result.lost + result.refused + result.repeated > 0) {
        throw new Error(
          `at ${rate}/s ${result.lost} were lost, ${result.refused} refused, ${result.repeated} repeated`,
        );
      }
    }
    return measured;
  } finally {
    await synap.stop();
  }
}

async function measureHandMade(bench: Bench, rates: readonly number[], seconds: number): Promise<AtRate[]> {
  await bench.place.settle();
  const stack = await HandMade.start(bench.place);
  try {
    return await measure(bench, rates, seconds, {
      postUrl: stack.postUrl,
      socketUrl: stack.socketUrl,
      watched: stack.watched(),
      tokens: await Promise.all(users.map((user) => stack.mint(user))),
    });
  } finally {
    await stack.stop();
  }
}

const users = Array.from({ length: userCount }, (_, nth) => `user-${nth + 1}`);

async function measure(bench: Bench, rates: readonly number[], seconds: number, stack: Stack): Promise<AtRate[]> {
  const echo = await Echo.start(stack);
  try {
    // Until what is hot is compiled: that is done beside the requests, on the same cores.
    await echo.open({ rate: 300, seconds: bench.pick(12, 3), seed: 1 });
    const measured: AtRate[] = [];
    for (const rate of rates) {
      const usage = await UsageWatch.start([...stack.watched, { name: 'load', pid: echo.pid }]);
      const result = await echo.open({ rate, seconds, seed: bench.random.below(2 ** 31) });
      measured.push({ rate, result, isSustained: result.backlog < rate / 4, processes: await usage.stop() });
      const { p50, p99 } = toLatencies(result.latenciesUs);
      bench.log(
        `  ${rate}/s: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ${result.lost} lost, ${result.backlog} under way at the end`,
      );
    }
    return measured;
  } finally {
    await echo.stop();
  }
}

type Rounds = readonly (readonly AtRate[])[];

function report(rates: readonly number[], synap: Rounds, handMade: Rounds): MeasureReport {
  const percentiles = (rounds: Rounds, rate: number): Latencies[] =>
    at(rounds, rate).map(({ result }) => toLatencies(result.latenciesUs));
  return {
    figures: rates.flatMap((rate) => toFigures(rate, percentiles(synap, rate), percentiles(handMade, rate))),
    plots: rates.map((rate) => toPlot(rate, at(synap, rate), at(handMade, rate))),
    usage: rates.flatMap((rate) => [
      { contender: `Synap at ${rate}/s`, processes: at(synap, rate)[0]?.processes ?? [] },
      { contender: `hand-made at ${rate}/s`, processes: at(handMade, rate)[0]?.processes ?? [] },
    ]),
    notes: toNotes(rates, synap, handMade),
    samples: { synap: synap.map(toSamples), handMade: handMade.map(toSamples) },
  };
}

const at = (rounds: Rounds, rate: number): AtRate[] =>
  rounds.flatMap((round) => round.filter((one) => one.rate === rate));

function toFigures(rate: number, ours: readonly Latencies[], theirs: readonly Latencies[]): Figure[] {
  const of = (all: readonly Latencies[], key: keyof Latencies) => median(all.map((latencies) => latencies[key]));
  const behind = median(ours.map(({ p50 }, round) => p50 - (theirs[round]?.p50 ?? Number.NaN)));
  // p99.9 is in the plots: a round of seconds has too few for a figure of it.
  const figure = (key: 'p50' | 'p90' | 'p99'): Figure => ({
    id: `end-to-end/${rate}-${key}`,
    what: `POST → notification at ${rate}/s, ${key}`,
    unit: 'ms',
    synap: of(ours, key),
    peer: { name: 'hand-made', value: of(theirs, key) },
    better: 'less',
  });
  const isJudged = rate === judgedRate;
  const p50 = { text: 'p50 ≤ its p50 + 5 ms', judged: behind, atMost: 5 };
  const p99 = { text: 'p99 ≤ 50 ms', judged: of(ours, 'p99'), atMost: 50 };
  return [
    { ...figure('p50'), ...(isJudged && { aim: p50 }) },
    figure('p90'),
    { ...figure('p99'), ...(isJudged && { aim: p99 }) },
  ];
}

function toPlot(rate: number, synap: readonly AtRate[], handMade: readonly AtRate[]): Plot {
  const all = (rounds: readonly AtRate[]) => toHistogram(rounds.flatMap(({ result }) => result.latenciesUs));
  return {
    name: `end-to-end-${rate}`,
    title: `POST → notification at ${rate}/s`,
    kind: 'line',
    x: { label: '1 / (1 − percentile)', isLog: true },
    y: { label: 'ms', isLog: true },
    series: [toCurve('Synap', all(synap)), toCurve('hand-made, nothing stored', all(handMade))],
  };
}

function toNotes(rates: readonly number[], synap: Rounds, handMade: Rounds): string[] {
  const contenders = [
    ['Synap', synap],
    ['the hand-made stack', handMade],
  ] as const;
  const overrun = contenders.flatMap(([name, rounds]) =>
    rates
      .filter((rate) => at(rounds, rate).some(({ isSustained }) => !isSustained))
      .map(
        (rate) => `${name} did not sustain ${rate}/s in every round: what was under way grew until the arrivals ended.`,
      ),
  );
  const lost = handMade.flat().reduce((sum, { result }) => sum + result.lost + result.refused, 0);
  return [
    `${userCount} users with one socket each (websocket); users post in turn, arrivals are a Poisson process planned beforehand with a seed, and a latency counts from the planned arrival to the client's callback, in one process with one clock.`,
    'Synap: api, dispatcher, worker and realtime as a process each, production settings, logs at info; every event, job and notification is committed to Postgres (fsync on), and the notification is stored for and sent to both of its rooms.',
    'Hand-made: Express 5, zod, jose (checked tokens remembered), BullMQ `add` and a worker of the same concurrency (20), @socket.io/redis-emitter to the user’s room, Socket.IO with the Redis adapter; three processes with the same flags of Node, no logging, nothing stored.',
    `Synap lost, refused and repeated none; the hand-made stack lost or refused ${lost}.`,
    ...overrun,
  ];
}

function toSamples(round: readonly AtRate[]) {
  return round.map(({ rate, result, isSustained, processes }) => {
    const { latenciesUs, acceptsUs, ...counts } = result;
    return {
      rate,
      isSustained,
      ...counts,
      latencyMs: toLatencies(latenciesUs),
      acceptMs: toLatencies(acceptsUs),
      processes,
    };
  });
}
