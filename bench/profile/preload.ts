import { writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { threadId } from 'node:worker_threads';
import pg from 'pg';
import type { Snapshot } from './snapshot.ts';

// Loaded before Synap in a round of its own (`--import`): counts what the process sends to Postgres and to Redis. SIGUSR2 writes
// what was counted so far; the difference of two such is what a window of steady load cost.
const directory = process.env['BENCH_PROFILE_DIR'] ?? '.';
const statements = new Map<string, { calls: number; ms: number }>();
const sockets = new Map<Socket, { readonly port: number; writes: number }>();
const ended = new Map<number, { written: number; read: number; writes: number }>();
const delay = monitorEventLoopDelay({ resolution: 1 });
let snapshots = 0;

if (threadId === 0) {
  countStatements();
  countBytes();
  delay.enable();
  process.on('SIGUSR2', () => {
    snapshots += 1;
    writeFileSync(`${directory}/${process.pid}-${snapshots}.json`, JSON.stringify(snapshot()));
    delay.reset();
  });
}

type Query = (this: pg.Client, ...parameters: unknown[]) => unknown;

function countStatements(): void {
  const prototype = pg.Client.prototype as unknown as { query: Query };
  const original = prototype.query;
  prototype.query = function counted(...parameters) {
    const beganAt = performance.now();
    const name = nameOf(parameters[0]);
    const settle = (): void => {
      const soFar = statements.get(name) ?? { calls: 0, ms: 0 };
      soFar.calls += 1;
      soFar.ms += performance.now() - beganAt;
      statements.set(name, soFar);
    };
    const last = parameters.at(-1);
    if (typeof last === 'function') {
      parameters[parameters.length - 1] = (...answer: unknown[]): void => {
        settle();
        (last as (...given: unknown[]) => void)(...answer);
      };
    }
    const result = original.apply(this, parameters);
    if (result instanceof Promise) void result.then(settle, settle);
    else if (typeof last !== 'function') settle();
    return result;
  };
}

/** The prepared statement's name, else the text without what differs from call to call. */
function nameOf(query: unknown): string {
  const { name, text } = (typeof query === 'string' ? { text: query } : query) as {
    readonly name?: string;
    readonly text?: string;
  };
  return name ?? (text ?? 'unknown').replaceAll(/\s+/g, ' ').trim().slice(0, 80);
}

function countBytes(): void {
  const prototype = Socket.prototype as unknown as { connect: (...parameters: unknown[]) => Socket };
  const original = prototype.connect;
  prototype.connect = function counted(this: Socket, ...parameters: unknown[]) {
    this.once('connect', () => watch(this));
    return original.apply(this, parameters);
  };
}

type Writer = (this: Socket, ...parameters: unknown[]) => void;

/** A flush of the stream is one write to the kernel, however many commands are in it. */
function watch(socket: Socket): void {
  const counted = { port: socket.remotePort ?? 0, writes: 0 };
  sockets.set(socket, counted);
  const stream = socket as unknown as { _write: Writer; _writev: Writer };
  for (const way of ['_write', '_writev'] as const) {
    const original = stream[way];
    stream[way] = function flush(...parameters) {
      counted.writes += 1;
      original.apply(this, parameters);
    };
  }
  socket.once('close', () => {
    sockets.delete(socket);
    add(ended, counted.port, socket, counted.writes);
  });
}

function add(totals: Snapshot['sockets'], port: number, socket: Socket, writes: number): void {
  const total = totals.get(port) ?? { written: 0, read: 0, writes: 0 };
  total.written += socket.bytesWritten;
  total.read += socket.bytesRead;
  total.writes += writes;
  totals.set(port, total);
}

function snapshot(): Record<keyof Snapshot, unknown> {
  const totals: Snapshot['sockets'] = new Map([...ended].map(([port, total]) => [port, { ...total }]));
  for (const [socket, { port, writes }] of sockets) add(totals, port, socket, writes);
  return {
    statements: [...statements],
    sockets: [...totals],
    delayMs: { p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 },
  };
}
