import path from 'node:path';
import type { Bench, Figure, Measure, MeasureReport, ProcessUsage } from '../measure.ts';
import { userOf, type PublishRequest, type Target } from '../load/notices.ts';
import { Program } from '../load/program.ts';
import type { ConnectRequest, Tally } from '../load/sockets.ts';
import { startPeer } from '../load/socket-io-peer.ts';
import { interleave, median, medianRatio } from '../rounds.ts';
import { productionFlags } from '../production.ts';
import { Synap, watchedStores } from '../synap.ts';
import { UsageWatch, type Watched } from '../usage.ts';
import { root } from '../built.ts';

const sockets = 500;

type Kind = 'unicast' | 'room';
/** Deliveries: those before that count, and those that do; and how many may be under way. */
interface Amount {
  readonly warm: number;
  readonly counted: number;
  readonly window: number;
}
const amounts = (bench: Bench): Record<Kind, Amount> => ({
  unicast: { warm: bench.pick(20_000, 10_000), counted: bench.pick(60_000, 20_000), window: 2_000 },
  room: { warm: bench.pick(50_000, 25_000), counted: bench.pick(250_000, 75_000), window: 8_000 },
});
const targets: Record<Kind, Target> = {
  unicast: { users: sockets, sockets: 1 },
  room: { users: 1, sockets },
};

interface Sample {
  readonly unicast: number;
  readonly room: number;
  readonly usage: Record<Kind, readonly ProcessUsage[]>;
}

/** What takes part in a contender's round, beside the clients. */
interface Stage {
  readonly port: number;
  readonly publisher: Program;
  readonly watched: readonly Watched[];
  readonly authOf: (user: string) => Promise<object>;
}

async function deliver(bench: Bench, kind: Kind, stage: Stage): Promise<{ rate: number; usage: ProcessUsage[] }> {
  const amount = amounts(bench)[kind];
  const target = targets[kind];
  const clients = await Program.start(path.join(root, 'bench/load/sockets.ts'), {
    name: 'clients',
  });
  try {
    const auths = await Promise.all(
      Array.from({ length: sockets }, (_, index) => stage.authOf(userOf(index % target.users))),
    );
    await clients.ask('open', { port: stage.port, auths, atOnce: 32 } satisfies ConnectRequest);
    const pass = async (from: number, deliveries: number): Promise<number> => {
      const before = (await clients.ask<Tally>('tally')).delivered;
      clients.onProgress = (delivered) => stage.publisher.credit(delivered - before);
      const arrived = clients.ask<{ ms: number }>('await', deliveries);
      const request: PublishRequest = { from, count: deliveries / target.sockets, target, window: amount.window };
      await Promise.all([stage.publisher.ask('publish', request), arrived]);
      return (await arrived).ms;
    };
    await pass(0, amount.warm);
    const watch = await UsageWatch.start([...stage.watched, { name: 'clients', pid: clients.pid }]);
    const ms = await pass(amount.warm / target.sockets, amount.counted);
    const usage = await watch.stop();
    const { disordered, lost } = await clients.ask<Tally>('tally');
    if (disordered + lost > 0) throw new Error(`${disordered} notifications out of order, ${lost} clients lost`);
    return { rate: (amount.counted * 1_000) / ms, usage };
  } finally {
    await clients.stop();
  }
}

const total = (bench: Bench, kind: Kind): number => {
  const { warm, counted } = amounts(bench)[kind];
  return (warm + counted) / targets[kind].sockets;
};

/** @param isBatched whether the clients say that they understand bursts in one frame, as synap/client does */
async function ofSynap(bench: Bench, kind: Kind, isBatched: boolean): Promise<{ rate: number; usage: ProcessUsage[] }> {
  const { place } = bench;
  const databaseUrl = await place.database({ isMigrated: true });
  await place.settle({ sparing: databaseUrl });
  const synap = await Synap.start(place, {
    databaseUrl,
    processes: [['realtime']],
    env: { SOCKETS_PER_USER: '100000', SOCKETS_PER_IP: '100000' },
  });
  const env = { DATABASE_URL: databaseUrl, REDIS_URL: place.redisUrl };
  const publisher = await Program.start(path.join(root, 'bench/load/publisher.ts'), {
    name: 'publisher',
    env,
    nodeFlags: productionFlags,
  });
  try {
    await publisher.ask('commit', { target: targets[kind], from: 0, count: total(bench, kind) });
    const { url } = synap.one('realtime');
    const watched = [...synap.watched(place), { name: 'publisher', pid: publisher.pid }];
    const authOf = async (user: string): Promise<object> => ({ token: await synap.mint(user), batch: isBatched });
    const delivered = await deliver(bench, kind, { port: Number(new URL(url).port), publisher, watched, authOf });
    const left = await publisher.ask<number>('unpublished');
    if (left > 0) throw new Error(`Postgres does not know of ${left} rooms that all is published`);
    return delivered;
  } finally {
    await publisher.stop();
    await synap.stop();
  }
}

async function ofPeer(bench: Bench, kind: Kind): Promise<{ rate: number; usage: ProcessUsage[] }> {
  const { place } = bench;
  await place.settle();
  const peer = await startPeer(place);
  const env = { REDIS_URL: place.redisUrl, AUTO_PIPELINING: 'true' };
  const publisher = await Program.start(path.join(root, 'bench/peers/socket-io-emitter.ts'), {
    ...{ name: 'emitter', env, nodeFlags: productionFlags },
  });
  try {
    await publisher.ask('ready');
    const watched = [...[peer.server, publisher].map(({ name, pid }) => ({ name, pid })), ...watchedStores(place)];
    return await deliver(bench, kind, { port: peer.port, publisher, watched, authOf: peer.authOf });
  } finally {
    await publisher.stop();
    await peer.server.stop();
  }
}

async function bothKinds(one: (kind: Kind) => Promise<{ rate: number; usage: ProcessUsage[] }>): Promise<Sample> {
  const unicast = await one('unicast');
  const room = await one('room');
  return { unicast: unicast.rate, room: room.rate, usage: { unicast: unicast.usage, room: room.usage } };
}

const peerName = 'Socket.IO with the Redis adapter';

async function run(bench: Bench): Promise<MeasureReport> {
  const samples = await interleave(bench, bench.pick(5, 1), {
    synap: () => bothKinds((kind) => ofSynap(bench, kind, false)),
    batched: () => bothKinds((kind) => ofSynap(bench, kind, true)),
    peer: () => bothKinds((kind) => ofPeer(bench, kind)),
  });
  const rates = (of: readonly Sample[], kind: Kind): number[] => of.map((sample) => sample[kind]);
  const figure = (kind: Kind, what: string, ours: 'synap' | 'batched'): Figure => {
    const [own, peers] = [rates(samples[ours], kind), rates(samples.peer, kind)];
    return {
      id: `deliveries/${kind}${ours === 'batched' ? '-batched' : ''}`,
      ...{ what, unit: '/s', synap: median(own), peer: { name: peerName, value: median(peers) }, better: 'more' },
      ...(ours === 'synap' && { aim: { text: '≥ 0.90 ×', judged: medianRatio(own, peers), atLeast: 0.9 } }),
    };
  };
  const usage = (['synap', 'batched', 'peer'] as const).flatMap((contender) =>
    (['unicast', 'room'] as const).map((kind) => ({
      contender: `${contender}, ${kind}`,
      processes: samples[contender].at(-1)?.usage[kind] ?? [],
    })),
  );
  return {
    figures: [
      figure('unicast', 'deliveries, one user each', 'synap'),
      figure('room', `deliveries, a room of ${sockets} sockets`, 'synap'),
      figure('unicast', 'deliveries, one user each, clients that take bursts', 'batched'),
      figure('room', `deliveries, a room of ${sockets} sockets, clients that take bursts`, 'batched'),
    ],
    plots: [],
    usage,
    notes: [
      `${sockets} sockets of one realtime process, published to by another process; so many notifications of about 400 bytes are under way that neither waits for the other (closed loop: 2,000 deliveries unicast, 8,000 in the room).`,
      'Synap: notifications that stand committed in Postgres go out through its publisher (script per room, tail kept, `publishedSeq` written behind). Every client checks that it gets each number once and in order.',
      'The peer: Socket.IO 4.8, adapter 8.3, the first request let go, no compression; redis-emitter on an ioredis connection with automatic pipelining. It stores nothing.',
      'Aimed at are clients that take notifications one by one, as the peer’s do; synap/client takes bursts in one frame, which is shown beside.',
    ],
    samples,
  };
}

export const deliveries: Measure = {
  name: 'deliveries',
  title: 'Deliveries of committed notifications to sockets',
  run,
};
