import path from 'node:path';
import type { Bench, Measure, MeasureReport, ProcessUsage } from '../measure.ts';
import { root } from '../built.ts';
import { memoryFlags, memoryOf } from '../load/memory.ts';
import { userOf } from '../load/notices.ts';
import { Program } from '../load/program.ts';
import { startPeer } from '../load/socket-io-peer.ts';
import type { ConnectRequest, Tally } from '../load/sockets.ts';
import { interleave, median, medianRatio } from '../rounds.ts';
import { Synap, watchedStores } from '../synap.ts';
import { UsageWatch, type Watched } from '../usage.ts';

const atOnce = 64;
const warmUp = 1_000;

interface Sample {
  /** Connections a second. */
  readonly rate: number;
  /** Of resident memory, and of it what is in V8's heap and beside it. */
  readonly bytes: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly usage: readonly ProcessUsage[];
}

interface Server {
  readonly port: number;
  readonly pid: number;
  readonly memoryFile: string;
  readonly watched: readonly Watched[];
  readonly authOf: (user: string) => Promise<object>;
}

async function connect(bench: Bench, server: Server): Promise<Sample> {
  const count = bench.pick(5_000, 2_000);
  const auths = (from: number, size: number): Promise<object[]> =>
    Promise.all(Array.from({ length: size }, (_, index) => server.authOf(userOf(from + index))));
  const clients = await Program.start(path.join(root, 'bench/load/sockets.ts'), {
    name: 'clients',
  });
  try {
    const open = async (some: object[]): Promise<number> =>
      (await clients.ask<{ ms: number }>('open', { port: server.port, auths: some, atOnce } satisfies ConnectRequest))
        .ms;
    await open(await auths(0, warmUp));
    const before = await memoryOf(server.pid, server.memoryFile);
    const tokens = await auths(warmUp, count);
    const watch = await UsageWatch.start([...server.watched, { name: 'clients', pid: clients.pid }]);
    const ms = await open(tokens);
    const usage = await watch.stop();
    const after = await memoryOf(server.pid, server.memoryFile);
    const { lost } = await clients.ask<Tally>('tally');
    if (lost > 0) throw new Error(`${lost} connections were lost`);
    const each = (key: 'rss' | 'heapUsed' | 'external'): number => (after[key] - before[key]) / count;
    return {
      ...{ rate: (count * 1_000) / ms, usage },
      ...{ bytes: each('rss'), heapBytes: each('heapUsed'), externalBytes: each('external') },
    };
  } finally {
    await clients.stop();
  }
}

async function ofSynap(bench: Bench, round: number): Promise<Sample> {
  const { place } = bench;
  const databaseUrl = await place.database({ isMigrated: true });
  await place.settle({ sparing: databaseUrl });
  const memoryFile = path.join(place.directory, `memory-synap-${round}.json`);
  const synap = await Synap.start(place, {
    ...{ databaseUrl, processes: [['realtime']], nodeFlags: await memoryFlags() },
    env: { SOCKETS_PER_IP: '100000', MEMORY_FILE: memoryFile },
  });
  try {
    const { url, pid } = synap.one('realtime');
    const authOf = async (user: string): Promise<object> => ({ token: await synap.mint(user), batch: true });
    const port = Number(new URL(url).port);
    return await connect(bench, { port, pid, memoryFile, watched: synap.watched(place), authOf });
  } finally {
    await synap.stop();
  }
}

async function ofPeer(bench: Bench, round: number): Promise<Sample> {
  const { place } = bench;
  await place.settle();
  const memoryFile = path.join(place.directory, `memory-peer-${round}.json`);
  const { server, port, authOf } = await startPeer(place, await memoryFlags(), { MEMORY_FILE: memoryFile });
  try {
    const watched = [{ name: server.name, pid: server.pid }, ...watchedStores(place)];
    return await connect(bench, { port, pid: server.pid, memoryFile, watched, authOf });
  } finally {
    await server.stop();
  }
}

const peerName = 'Socket.IO with the Redis adapter';

async function run(bench: Bench): Promise<MeasureReport> {
  const samples = await interleave(bench, bench.pick(5, 1), {
    synap: (round) => ofSynap(bench, round),
    peer: (round) => ofPeer(bench, round),
  });
  const { synap, peer } = samples;
  const rates = (of: readonly Sample[]): number[] => of.map(({ rate }) => rate);
  const kilobytes = (of: readonly Sample[]): number[] => of.map(({ bytes }) => bytes / 1_024);
  const ofHeap = (of: readonly Sample[]): number => median(of.map(({ heapBytes }) => heapBytes / 1_024));
  return {
    figures: [
      {
        ...{ id: 'connects/rate', what: 'connections', unit: '/s', better: 'more', synap: median(rates(synap)) },
        peer: { name: peerName, value: median(rates(peer)) },
        aim: { text: '≥ 0.90 ×', judged: medianRatio(rates(synap), rates(peer)), atLeast: 0.9 },
      },
      {
        ...{ id: 'connects/memory', what: 'memory of a connection', unit: 'KB', better: 'less' },
        ...{ synap: median(kilobytes(synap)), peer: { name: peerName, value: median(kilobytes(peer)) } },
        aim: { text: '≤ 1.15 ×', judged: medianRatio(kilobytes(synap), kilobytes(peer)), atMost: 1.15 },
      },
    ],
    plots: [],
    usage: (['synap', 'peer'] as const).map((contender) => ({
      contender: `${contender}, connecting`,
      processes: samples[contender].at(-1)?.usage ?? [],
    })),
    notes: [
      `Each connection is another user with a token of its own, over WebSocket, ${atOnce} under way at a time, after ${warmUp} others, which stay. It counts when the server has verified the token, joined the user's room and said so.`,
      `Memory: resident, after a collection, with the idle connections less before them. Of it in V8's heap: ${ofHeap(synap).toFixed(1)} KB, the peer ${ofHeap(peer).toFixed(1)} KB.`,
      'The peer: Socket.IO 4.8 on the Redis adapter, the first request let go, no compression, jsonwebtoken, one room joined.',
    ],
    samples,
  };
}

export const connects: Measure = { name: 'connects', title: 'Connections: how fast they come, what they take', run };
