import { setTimeout as sleep } from 'node:timers/promises';
import { io, type Socket } from 'socket.io-client';
import { Pool } from 'undici';
import { within } from '../../../test/support/signals.ts';
import { Random } from '../../random.ts';
import { answer } from '../answers.ts';
import type { Closed, Connect, EchoResult, Open } from './questions.ts';

/** Connections to the api, kept alive: what a balancer holds. */
const connections = 64;
/** For the last notifications after the last arrival. */
const drainMs = 20_000;

const now = (): number => performance.timeOrigin + performance.now();

interface Target {
  readonly pool: Pool;
  readonly sockets: readonly Socket[];
  readonly tokens: readonly string[];
}

/** The events of one run, by their number. */
class Run {
  readonly plannedAt: number[] = [];
  readonly latenciesUs: number[] = [];
  readonly acceptsUs: number[] = [];
  readonly #open = new Set<number>();
  readonly #heard = new Set<number>();
  refused = 0;
  repeated = 0;
  onDone: () => void = () => undefined;

  get underWay(): number {
    return this.#open.size;
  }

  begin(plannedAt: number): number {
    const n = this.plannedAt.push(plannedAt) - 1;
    this.#open.add(n);
    return n;
  }

  accepted(n: number): void {
    this.acceptsUs.push(this.#since(n));
  }

  refuse(n: number): void {
    this.refused += 1;
    this.#open.delete(n);
    this.onDone();
  }

  hear(n: number): void {
    if (this.#heard.has(n)) {
      this.repeated += 1;
      return;
    }
    this.#heard.add(n);
    this.latenciesUs.push(this.#since(n));
    this.#open.delete(n);
    this.onDone();
  }

  #since(n: number): number {
    return Math.round((now() - (this.plannedAt[n] ?? Number.NaN)) * 1_000);
  }
}

let target: Target | undefined;
/** Runs are told apart by the number of their first event. */
let run = new Run();
let base = 0;

function hear({ n }: { readonly n: number }): void {
  if (n >= base) run.hear(n - base);
}

async function connect({ postUrl, socketUrl, tokens }: Connect): Promise<void> {
  const sockets = tokens.map((token) =>
    io(socketUrl, { transports: ['websocket'], forceNew: true, reconnection: false, auth: { token } }),
  );
  await Promise.all(
    sockets.map((socket) => within(new Promise<void>((resolve) => void socket.once('connect', resolve)), 'a socket')),
  );
  for (const socket of sockets) socket.on('notification', ({ data }: { data: { n: number } }) => hear(data));
  target = { pool: new Pool(new URL(postUrl).origin, { connections, pipelining: 1 }), sockets, tokens };
}

/** One of the users in turn posts; the notification comes to that user's socket. */
async function post(to: Target, current: Run, n: number): Promise<void> {
  try {
    const { statusCode, body } = await to.pool.request({
      method: 'POST',
      path: '/v1/events',
      headers: {
        authorization: `Bearer ${to.tokens[n % to.tokens.length] ?? ''}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({
        type: 'bench.echo.requested',
        data: { n: base + n, at: current.plannedAt[n] },
      }),
    });
    await body.dump();
    if (statusCode !== 202) throw new Error(`answered ${statusCode}`);
    current.accepted(n);
  } catch {
    current.refuse(n);
  }
}

function begin(): { readonly to: Target; readonly current: Run } {
  if (target === undefined) throw new Error('not connected');
  base += run.plannedAt.length;
  run = new Run();
  return { to: target, current: run };
}

async function result(current: Run, startedAt: number, backlog: number): Promise<EchoResult> {
  const deadline = now() + drainMs;
  while (current.underWay > 0 && now() < deadline) await sleep(2);
  const { latenciesUs, acceptsUs, refused, repeated } = current;
  const seconds = (now() - startedAt) / 1_000;
  return {
    sent: current.plannedAt.length,
    refused,
    lost: current.underWay,
    repeated,
    backlog,
    seconds,
    latenciesUs,
    acceptsUs,
  };
}

/** Arrivals of a Poisson process: independent users do not take turns. */
async function open({ rate, seconds, seed }: Open): Promise<EchoResult> {
  const { to, current } = begin();
  const random = new Random(seed);
  const startedAt = now();
  const endsAt = startedAt + seconds * 1_000;
  for (let at = startedAt; at < endsAt; at += (-Math.log(1 - random.next()) * 1_000) / rate) {
    const early = at - now();
    if (early > 0) await sleep(early);
    void post(to, current, current.begin(at));
  }
  return result(current, startedAt, current.underWay);
}

async function closed({ total, atOnce }: Closed): Promise<EchoResult> {
  const { to, current } = begin();
  const startedAt = now();
  const next = (): void => {
    while (current.underWay < atOnce && current.plannedAt.length < total) void post(to, current, current.begin(now()));
  };
  current.onDone = next;
  next();
  while (current.plannedAt.length < total) await sleep(2);
  return result(current, startedAt, current.underWay);
}

answer({ connect, open, closed });
