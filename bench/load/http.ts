import { build } from 'hdr-histogram-js';
import { Random } from '../random.ts';
import { answer } from './answers.ts';
import { KeptConnection } from './connection.ts';
import type { LoadPlan, LoadResult } from './plan.ts';

// Load over HTTP, in a process of its own: it is told a LoadPlan and answers a LoadResult.
answer({ drive });

/** Shortest wait of a timer; arrivals of that time are sent together, and their lateness counts. */
const tickMs = 1;

async function drive(plan: LoadPlan): Promise<LoadResult> {
  const nextRequest = requestsOf(plan);
  const connections = await Promise.all(
    Array.from({ length: plan.connections }, () => KeptConnection.open(new URL(plan.origin))),
  );
  const latencies = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 120_000_000,
    numberOfSignificantValueDigits: 3,
  });
  const from = performance.now() + plan.warmUpMs;
  const until = from + plan.measureMs;
  let answered = 0;
  let failed = 0;

  /** `counted`: what decides whether the request belongs to the measured time. */
  const send = async (connection: KeptConnection, since: number, counted: () => number): Promise<void> => {
    const status = await connection.request(nextRequest());
    const now = performance.now();
    if (status !== plan.status) failed += 1;
    else if (counted() >= from && counted() < until) {
      answered += 1;
      latencies.recordValue(Math.max(1, Math.round((now - since) * 1_000)));
    }
  };

  const repeat = async (connection: KeptConnection): Promise<void> => {
    while (performance.now() < until) await send(connection, performance.now(), () => performance.now());
  };

  if (plan.arrivals === undefined) await Promise.all(connections.map(repeat));
  else await arrive(plan.arrivals, until, connections, send);
  for (const connection of connections) connection.close();
  const at = (percentile: number): number => latencies.getValueAtPercentile(percentile) / 1_000;
  return {
    answered,
    perSecond: (answered / plan.measureMs) * 1_000,
    failed,
    latency: { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: latencies.maxValue / 1_000 },
  };
}

/** Each request is sent at its planned time or as soon after it as a connection is free; its latency counts from the plan. */
async function arrive(
  { perSecond, seed }: NonNullable<LoadPlan['arrivals']>,
  until: number,
  connections: readonly KeptConnection[],
  send: (connection: KeptConnection, since: number, counted: () => number) => Promise<void>,
): Promise<void> {
  const random = new Random(seed);
  const gapMs = (): number => (-Math.log(1 - random.next()) * 1_000) / perSecond;
  const free = [...connections];
  const underWay = new Set<Promise<void>>();
  let planned = performance.now() + gapMs();
  while (planned < until) {
    while (planned <= performance.now() && planned < until) {
      const connection = free.pop();
      if (connection === undefined) break;
      const at = planned;
      const sending = send(connection, at, () => at).then(() => {
        free.push(connection);
        underWay.delete(sending);
      });
      underWay.add(sending);
      planned += gapMs();
    }
    const waitMs = planned - performance.now();
    if (free.length === 0) await Promise.race(underWay);
    else if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, Math.max(tickMs, waitMs)));
  }
  await Promise.all(underWay);
}

/** Makes the text of each request anew, at little cost: everything but the token and the ids is made once. */
function requestsOf({ origin, path, tokens, body }: LoadPlan): () => string {
  const run = process.hrtime.bigint().toString(36);
  const parts = body.split('{{id}}');
  let ids = 0;
  const nextId = (): string => `${run}-${String((ids += 1)).padStart(9, '0')}`;
  const fill = (): string => parts.reduce((text, part) => text + nextId() + part);
  const length = Buffer.byteLength(fill());
  const heads = tokens.map(
    (token) =>
      `POST ${path} HTTP/1.1\r\nHost: ${new URL(origin).host}\r\nAuthorization: Bearer ${token}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${length}\r\nConnection: keep-alive\r\n\r\n`,
  );
  let turn = 0;
  return () => {
    turn = (turn + 1) % heads.length;
    return `${heads[turn] ?? ''}${fill()}`;
  };
}
