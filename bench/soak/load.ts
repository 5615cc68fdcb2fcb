import { setTimeout as wait } from 'node:timers/promises';
import { build, type Histogram } from 'hdr-histogram-js';
import { io, type Socket } from 'socket.io-client';
import { Pool } from 'undici';
import { within } from '../../test/support/signals.ts';
import { Random } from '../random.ts';
import type { Latency, LoadPlan, LoadResult } from './plan.ts';

// The load of one round, in a process of its own: the plan comes as a message and the result goes as one.
const plan = await new Promise<LoadPlan>((resolve) =>
  process.once('message', (message) => resolve(message as LoadPlan)),
);
const random = new Random(plan.seed);
const pool = new Pool(plan.apiUrl, { connections: 256, pipelining: 1 });
const histograms = { accept: microseconds(), notification: microseconds(), high: microseconds() };

interface Awaited {
  readonly plannedAt: number;
  readonly histogram: Histogram | undefined;
  readonly settle: () => void;
}
/** By request id: sockets also hear of what waited in the database before. */
const awaited = new Map<string, Awaited>();
let posted = 0;

function microseconds(): Histogram {
  return build({ lowestDiscernibleValue: 1, highestTrackableValue: 120_000_000, numberOfSignificantValueDigits: 3 });
}

function toLatency(histogram: Histogram): Latency {
  const at = (percentile: number): number => histogram.getValueAtPercentile(percentile) / 1_000;
  return { count: histogram.totalCount, p50: at(50), p90: at(90), p99: at(99), max: histogram.maxValue / 1_000 };
}

async function connect(token: string): Promise<Socket> {
  const socket = io(plan.realtimeUrl, { auth: { token }, transports: ['websocket'], forceNew: true });
  socket.on('notification', ({ requestId = '' }: { readonly requestId?: string }) => {
    const found = awaited.get(requestId);
    if (found === undefined) return;
    awaited.delete(requestId);
    found.histogram?.recordValue(Math.max(1, (performance.now() - found.plannedAt) * 1_000));
    found.settle();
  });
  await within(new Promise((resolve) => socket.once('ready', resolve)), 'a socket to be ready');
  return socket;
}

async function post(path: string, token: string, body: unknown): Promise<Record<string, unknown>> {
  const { statusCode, body: answer } = await pool.request({
    path,
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const said = (await answer.json()) as Record<string, unknown>;
  // What it refuses for a moment it has not accepted.
  if (statusCode === 503) {
    await wait(100);
    return post(path, token, body);
  }
  if (statusCode >= 300) throw new Error(`POST ${path} was answered ${statusCode}: ${JSON.stringify(said)}`);
  return said;
}

interface Arrivals {
  readonly type: string;
  readonly priority: 'normal' | 'high';
  readonly perSecond: number;
  readonly lastMs: number;
  readonly accept: Histogram | undefined;
  readonly notification: Histogram | undefined;
  readonly eventIds: string[];
}

/** Poisson arrivals, planned before the first is sent. Resolves when all are accepted and all their notifications have come. */
async function openLoop(arrivals: Arrivals): Promise<void> {
  const times: number[] = [];
  for (let at = gap(arrivals); at < arrivals.lastMs; at += gap(arrivals)) times.push(at);
  const beganAt = performance.now();
  const sent: Promise<void>[] = [];
  for (const time of times) {
    const plannedAt = beganAt + time;
    const early = plannedAt - performance.now();
    if (early > 0) await wait(early);
    sent.push(arrive(arrivals, plannedAt));
  }
  await within(Promise.all(sent), `the notifications of ${arrivals.type}`, 60_000);
}

/** Infinite where nothing is to arrive. */
const gap = ({ perSecond }: Arrivals): number => (-Math.log(1 - random.next()) * 1_000) / perSecond;

async function arrive({ type, priority, accept, notification, eventIds }: Arrivals, plannedAt: number): Promise<void> {
  const n = (posted += 1);
  const requestId = `soak-${plan.seed}-${n}`;
  const told = new Promise<void>((settle) => awaited.set(requestId, { plannedAt, histogram: notification, settle }));
  const body = { type, priority, data: { n, at: Date.now() }, requestId };
  const { eventId } = await post('/v1/events', someone().token, body);
  accept?.recordValue(Math.max(1, (performance.now() - plannedAt) * 1_000));
  eventIds.push(String(eventId));
  await told;
}

function someone(): LoadPlan['users'][number] {
  const user = plan.users[random.below(plan.users.length)];
  if (user === undefined) throw new Error('a plan without users');
  return user;
}

/** Both kinds at once: the queue without a backlog, and the one with it at high priority. */
async function latencies(lastMs: number, isMeasured: boolean, eventIds: string[]): Promise<void> {
  const { accept, notification, high } = histograms;
  await Promise.all([
    openLoop({
      ...{ type: 'bench.echo.requested', priority: 'normal', perSecond: plan.ratePerSecond, lastMs, eventIds },
      accept: isMeasured ? accept : undefined,
      notification: isMeasured ? notification : undefined,
    }),
    openLoop({
      ...{ type: 'bench.backlog.requested', priority: 'high', perSecond: plan.highPerSecond, lastMs, eventIds: [] },
      accept: undefined,
      notification: isMeasured ? high : undefined,
    }),
  ]);
}

/** Closed loop. Their time is far away, so that nothing but accepting is measured. */
async function accepts(lastMs: number): Promise<{ readonly count: number; readonly perSecond: number }> {
  const endsAt = performance.now() + lastMs;
  let count = 0;
  const one = async (): Promise<void> => {
    while (performance.now() < endsAt) {
      const body = { type: 'bench.echo.requested', data: { n: 0, at: 0 }, delayMs: 86_400_000 };
      await post('/v1/events', someone().token, body);
      count += 1;
    }
  };
  const beganAt = performance.now();
  await Promise.all(Array.from({ length: plan.acceptConnections }, one));
  return { count, perSecond: (count * 1_000) / (performance.now() - beganAt) };
}

const perBatch = 100;
const batchesAtOnce = 4;

/** @returns the ids of the jobs, all accepted. */
async function postJobs(count: number): Promise<string[]> {
  const ids: string[] = [];
  let left = Math.ceil(count / perBatch);
  const one = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const events = Array.from({ length: perBatch }, () => ({ type: 'bench.work.requested', data: { n: 0 } }));
      const { items } = await post('/v1/events/batch', someone().token, { events });
      ids.push(...(items as { readonly eventId: string }[]).map(({ eventId }) => eventId));
    }
  };
  await Promise.all(Array.from({ length: batchesAtOnce }, one));
  return ids;
}

const sockets = await Promise.all(plan.users.map(({ token }) => connect(token)));
const eventIds: string[] = [];
await accepts(plan.warmUpMs / 2);
await latencies(plan.warmUpMs, false, []);
await latencies(plan.measuredMs, true, eventIds);
const accepted = await accepts(plan.acceptMs);
const jobIds = await postJobs(plan.jobs);
const result: LoadResult = {
  accept: toLatency(histograms.accept),
  notification: toLatency(histograms.notification),
  highNotification: toLatency(histograms.high),
  eventIds,
  acceptsPerSecond: accepted.perSecond,
  accepts: accepted.count,
  jobIds,
};
process.send?.(result);
for (const socket of sockets) socket.close();
await pool.close();
// It stays until it is ended, or its end could be seen before its result.
