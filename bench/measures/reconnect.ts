import path from 'node:path';
import type { Bench, Figure, Measure, MeasureReport, Plot, ProcessUsage } from '../measure.ts';
import { root } from '../built.ts';
import type { Target } from '../load/notices.ts';
import { userOf } from '../load/notices.ts';
import { Program } from '../load/program.ts';
import type { Resumed, ResumeRequest } from '../load/resuming.ts';
import { median } from '../rounds.ts';
import { Synap } from '../synap.ts';
import { UsageWatch } from '../usage.ts';

const missed = 20;
const atOnce = 1_000;

interface Return {
  /** Seconds until the last one had everything. */
  readonly seconds: number;
  readonly percentiles: readonly (readonly [percent: number, seconds: number])[];
  readonly lost: number;
  readonly usage: readonly ProcessUsage[];
}

interface Sample {
  /** Their replica is killed; what they missed is read from Postgres. */
  readonly cold: Return;
  /** Their lines are cut; what they missed is still in the tails of their rooms. */
  readonly hot: Return;
}

class Story {
  readonly #bench: Bench;
  readonly #synap: Synap;
  readonly #publisher: Program;
  readonly #clients: Program;
  readonly #target: Target;
  #seq = 0;

  constructor(bench: Bench, synap: Synap, publisher: Program, clients: Program, users: number) {
    this.#bench = bench;
    this.#synap = synap;
    this.#publisher = publisher;
    this.#clients = clients;
    this.#target = { users, sockets: 1 };
  }

  /** So many more for everybody, whether they are there or not. */
  async notify(each: number): Promise<void> {
    const { users } = this.#target;
    const request = { target: this.#target, from: this.#seq * users, count: each * users };
    await this.#publisher.ask('commit', request);
    await this.#publisher.ask('publishUnheard', request);
    this.#seq += each;
  }

  async hear(): Promise<void> {
    await this.#clients.ask('reach', this.#seq);
  }

  async comeBack(port: number): Promise<Return> {
    const { place } = this.#bench;
    const watched = [...this.#synap.watched(place), { name: 'clients', pid: this.#clients.pid }];
    const watch = await UsageWatch.start(watched);
    const request: ResumeRequest = { port, atOnce, goal: this.#seq };
    const { ms, lost, disordered, resets } = await this.#clients.ask<Resumed>('resume', request);
    const usage = await watch.stop();
    const sorted = ms.toSorted((a, b) => a - b);
    const at = (percent: number): number =>
      (sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? Infinity) / 1_000;
    const percentiles = [1, 5, 10, 25, 50, 75, 90, 95, 99, 100].map((percent) => [percent, at(percent)] as const);
    return { seconds: at(100), percentiles, lost: lost + disordered + resets, usage };
  }
}

async function once(bench: Bench): Promise<Sample> {
  const { place } = bench;
  const users = bench.pick(5_000, 2_000);
  const databaseUrl = await place.database({ isMigrated: true });
  await place.settle({ sparing: databaseUrl });
  const env = { SOCKETS_PER_IP: '100000' };
  const synap = await Synap.start(place, { databaseUrl, processes: [['realtime'], ['realtime']], env });
  const publisher = await Program.start(path.join(root, 'bench/load/publisher.ts'), {
    ...{ name: 'publisher', env: { DATABASE_URL: databaseUrl, REDIS_URL: place.redisUrl } },
  });
  const clients = await Program.start(path.join(root, 'bench/load/resuming.ts'), {
    name: 'clients',
  });
  try {
    const auths = await Promise.all(
      Array.from({ length: users }, async (_, index) => ({ token: await synap.mint(userOf(index)), batch: true })),
    );
    await clients.ask('seat', auths);
    const [first, second] = synap.processes.map(({ url, pid }) => ({ port: Number(new URL(url).port), pid }));
    if (first === undefined || second === undefined) throw new Error('two replicas were started');
    const story = new Story(bench, synap, publisher, clients, users);
    await story.comeBack(first.port);
    await story.notify(1);
    await story.hear();
    process.kill(first.pid, 'SIGKILL');
    await story.notify(missed);
    const cold = await story.comeBack(second.port);
    await clients.ask('cut');
    await story.notify(missed);
    const hot = await story.comeBack(second.port);
    return { cold, hot };
  } finally {
    await Promise.all([clients.stop(), publisher.stop()]);
    await synap.stop();
  }
}

async function run(bench: Bench): Promise<MeasureReport> {
  const samples: Sample[] = [];
  for (let round = 1; round <= bench.pick(3, 1); round += 1) {
    bench.log(`round ${round}`);
    samples.push(await once(bench));
  }
  const count = bench.pick(5_000, 2_000);
  const caughtUp = (kind: keyof Sample, what: string): Figure => {
    const seconds = median(samples.map((sample) => sample[kind].seconds));
    const aim = { text: '< 10 s', judged: seconds, atMost: 10 };
    return { id: `reconnect/${kind}`, what, unit: 's', synap: seconds, aim, better: 'less' };
  };
  const lost = samples.reduce((sum, { cold, hot }) => sum + cold.lost + hot.lost, 0);
  return {
    figures: [
      caughtUp('cold', `${count} clients of a killed replica have all that they missed, out of Postgres`),
      caughtUp('hot', `${count} clients whose lines were cut have all that they missed, out of Redis`),
      {
        ...{
          id: 'reconnect/lost',
          what: 'notifications lost, out of order, or replaced by a reset',
          unit: '',
          better: 'less',
        },
        ...{ synap: lost, aim: { text: '0', judged: lost, atMost: 0 } },
      },
    ],
    plots: [plot(samples)],
    usage: (['cold', 'hot'] as const).map((kind) => ({
      contender: `synap, coming back, ${kind}`,
      processes: samples.at(-1)?.[kind].usage ?? [],
    })),
    notes: [
      `${count} users with one socket each, all on one of two replicas. It is killed; ${missed} notifications for each are committed and published; then all connect to the other replica at once, of which at most ${atOnce} are being opened at any moment; the clock starts with the first of all, with a token of their own, and subscribe with the number that they have. Then all lines are cut, ${missed} more follow, and they come back again.`,
      'A client has caught up when it has every number up to the newest, in order; the time counts from the first attempt of all. The clients are one process that speaks the protocol over bare TCP connections: so many of socket.io-client’s would take more of the machine than the server.',
    ],
    samples,
  };
}

function plot(samples: readonly Sample[]): Plot {
  const last = samples.at(-1);
  return {
    ...{ name: 'reconnect', title: 'Coming back: when so many clients have all that they missed', kind: 'line' },
    x: { label: 'clients, %' },
    y: { label: 's' },
    series: [
      { name: 'after a killed replica, from Postgres', points: last?.cold.percentiles ?? [] },
      { name: 'after cut lines, from Redis', points: last?.hot.percentiles ?? [] },
    ],
  };
}

export const reconnect: Measure = { name: 'reconnect', title: 'Thousands come back at once', run };
