import { once } from 'node:events';
import path from 'node:path';
import { endChild, startChild } from '../../test/faults/stack/child.ts';
import { eventually, within } from '../../test/support/signals.ts';
import { root } from '../built.ts';
import { compiled } from '../compiled.ts';
import { memoryFlags, memoryOf } from '../load/memory.ts';
import type { Bench, Figure, Measure, MeasureReport, Plot } from '../measure.ts';
import { blockMeans, slopeOf } from '../regression.ts';
import { residentMb } from '../resident.ts';
import { median } from '../rounds.ts';
import { productionEnvironment, productionFlags } from '../production.ts';
import { Synap } from '../synap.ts';
import { UsageWatch } from '../usage.ts';
import { SteadyLoad } from './steady-load.ts';

const perSecond = 200;
/** Afterwards, to see what more events leave behind. */
const fasterPerSecond = 400;
const sampleEveryMs = 1_000;
/** MB a minute: a slope that is known no better proves nothing. */
const surelyWithin = 0.2;
const processes = ['api', 'dispatcher', 'worker', 'realtime'] as const;
/** The product itself with all its features, not the benchmark's two handlers. */
const program = path.join(root, 'dist/processes/main.js');

type Watched = (typeof processes)[number] | 'bare BullMQ worker';
/** Seconds since the load began, and MB. */
type Samples = Record<Watched, (readonly [number, number])[]>;

interface Peer {
  readonly pid: number;
  stop(): Promise<void>;
}

async function startPeer(redisUrl: string, memoryFile: string): Promise<Peer> {
  const entry = await compiled(path.join(import.meta.dirname, '../peers/bare-bullmq-worker.ts'));
  const child = await startChild(process.execPath, [...productionFlags, ...(await memoryFlags()), entry, redisUrl], {
    env: { ...productionEnvironment, MEMORY_FILE: memoryFile },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.stdout === null) throw new Error('the bare worker has no output');
  await within(once(child.stdout, 'data'), 'the bare worker to be ready');
  return { pid: child.pid ?? 0, stop: () => endChild(child, 'SIGTERM') };
}

/** Reads the memory of all at the same moments. */
function watch(pids: Readonly<Record<Watched, number>>) {
  const beganAt = performance.now();
  const samples: Samples = { api: [], dispatcher: [], worker: [], realtime: [], 'bare BullMQ worker': [] };
  const names = Object.keys(pids) as Watched[];
  let sampling = Promise.resolve();
  const sample = async (): Promise<void> => {
    const seconds = (performance.now() - beganAt) / 1_000;
    const read = await Promise.all(names.map(async (name) => [name, await residentMb(pids[name])] as const));
    for (const [name, memoryMb] of read) samples[name].push([seconds, memoryMb]);
  };
  const timer = setInterval(() => {
    sampling = sampling.then(sample);
  }, sampleEveryMs);
  return {
    async stop(): Promise<Samples> {
      clearInterval(timer);
      await sampling;
      return samples;
    },
  };
}

/** After the warm-up: code is compiled, pools are full, the heap has found its size. */
const steady = (points: readonly (readonly [number, number])[], warmUpS: number) =>
  points.filter(([at]) => at > warmUpS);

function figuresOf(samples: Samples, warmUpS: number, blockSize: number): Figure[] {
  const bare = median(steady(samples['bare BullMQ worker'], warmUpS).map(([, mb]) => mb));
  return processes.flatMap((name): Figure[] => {
    const after = steady(samples[name], warmUpS);
    const synap = median(after.map(([, mb]) => mb));
    const { slope, margin } = slopeOf(blockMeans(after, blockSize).map(([at, mb]) => [at / 60, mb]));
    const isAimedAt = name === 'worker' || name === 'api';
    const above = { text: '≤ 50 MB above', judged: synap - bare, atMost: 50 };
    // No growth: that it does not grow lies within a confidence that says something.
    const none = { text: 'no growth', judged: margin < surelyWithin ? slope - margin : Number.NaN, atMost: 0 };
    const peer = { name: 'idle bare BullMQ worker', value: bare };
    return [
      {
        id: `memory/${name}`,
        what: `${name}, ${perSecond} events/s: memory`,
        unit: 'MB',
        synap,
        peer,
        better: 'less',
        ...(isAimedAt && { aim: above }),
      },
      {
        id: `memory/${name}-growth`,
        what: `${name}: growth, ± ${margin.toFixed(2)}`,
        unit: 'MB/min',
        synap: slope,
        better: 'less',
        ...(isAimedAt && { aim: none }),
      },
    ];
  });
}

function plotOf(samples: Samples): Plot {
  return {
    name: 'memory-at-steady-load',
    title: `Resident memory at ${perSecond} events/s`,
    kind: 'line',
    x: { label: 'minutes' },
    y: { label: 'MB' },
    series: (Object.keys(samples) as Watched[]).map((name) => ({
      name,
      points: samples[name].map(([at, mb]) => [at / 60, mb] as const),
    })),
  };
}

/** What lives in the heaps, after a collection; bytes. */
type Live = Readonly<Record<(typeof processes)[number], number>>;

/** Whether anything gathers: what a process keeps for each event that it has done with would be here, whatever the collector holds back. */
function liveFiguresOf(before: Live, after: Live, events: number): Figure[] {
  return processes.flatMap((name): Figure[] => [
    {
      ...{ id: `memory/${name}-live`, what: `${name}: of it alive in its heap, after a collection`, unit: 'MB' },
      ...{ synap: after[name] / 2 ** 20, better: 'less' },
    },
    {
      ...{ id: `memory/${name}-kept`, what: `${name}: what ${events} more events left alive`, unit: 'bytes an event' },
      ...{ synap: (after[name] - before[name]) / events, better: 'less' },
    },
  ]);
}

async function measure(bench: Bench): Promise<MeasureReport> {
  const { place, random } = bench;
  const durationMs = bench.pick(600_000, 30_000);
  const warmUpS = bench.pick(180, 10);
  const databaseUrl = await place.database({ isMigrated: true });
  await place.settle({ sparing: databaseUrl });
  const memoryFile = path.join(place.directory, 'memory');
  const peer = await startPeer(place.redisUrl, memoryFile);
  const synap = await Synap.start(place, {
    ...{ databaseUrl, program, processes: processes.map((role) => [role]) },
    ...{ nodeFlags: await memoryFlags(), env: { MEMORY_FILE: memoryFile } },
  });
  const live = async (): Promise<Live> => {
    const read = async (role: (typeof processes)[number]) =>
      [role, (await memoryOf(synap.one(role).pid, memoryFile)).heapUsed] as const;
    return Object.fromEntries(await Promise.all(processes.map(read))) as Live;
  };
  const load = await SteadyLoad.open(synap, random);
  try {
    const usage = await UsageWatch.start(synap.watched(place));
    const pidOf = (role: (typeof processes)[number]) => synap.one(role).pid;
    const watching = watch({
      api: pidOf('api'),
      dispatcher: pidOf('dispatcher'),
      worker: pidOf('worker'),
      realtime: pidOf('realtime'),
      'bare BullMQ worker': peer.pid,
    });
    bench.log(`${perSecond} events/s for ${durationMs / 1_000} s`);
    await load.run(perSecond, durationMs);
    const samples = await watching.stop();
    const used = await usage.stop();
    await everyTaskHeard(load);
    const [before, acceptedBefore] = [await live(), load.accepted];
    bench.log(`${fasterPerSecond} events/s, for what is left alive`);
    await load.run(fasterPerSecond, bench.pick(120_000, 5_000));
    await everyTaskHeard(load);
    const more = load.accepted - acceptedBefore;
    return {
      figures: [...figuresOf(samples, warmUpS, bench.pick(30, 4)), ...liveFiguresOf(before, await live(), more)],
      plots: [plotOf(samples)],
      usage: [{ contender: 'synap', processes: used }],
      notes: notesOf(load, warmUpS),
      samples,
    };
  } finally {
    await load.close();
    await synap.stop();
    await peer.stop();
  }
}

async function everyTaskHeard(load: SteadyLoad): Promise<void> {
  try {
    await eventually(
      () => Promise.resolve(load.heard >= load.accepted ? true : undefined),
      'every task to be heard of',
      60_000,
    );
  } catch (cause) {
    const ends = load.ends.length === 0 ? 'no connection was lost' : `connections lost: ${load.ends.join(', ')}`;
    throw new Error(`of ${load.accepted} tasks ${load.heard} were heard of; ${ends}`, { cause });
  }
}

const notesOf = ({ accepted, heard, ends }: SteadyLoad, warmUpS: number): string[] => [
  `The product with all its features, each role a process with production’s flags; ${accepted} tasks were asked for at random moments by 50 users, each done in a transaction, and ${heard} notifications heard at 50 sockets (${ends.length} connections lost and resumed); one arrival of 20 reads its user’s list.`,
  'The peer: a BullMQ worker on one queue, nothing to do, the same Node flags, the same Redis.',
  `Memory is VmRSS of /proc, once a second; figures are medians after ${warmUpS} s. Growth is the slope by least squares over means of blocks, ± 95 % confidence.`,
  `What lives is heapUsed after two full collections, at the end and before another two minutes at ${fasterPerSecond} events/s.`,
];

export const memory: Measure = { name: 'memory', title: 'Memory at steady load', run: measure };
