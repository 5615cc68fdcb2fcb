import { createServer } from 'node:http';
import { once } from 'node:events';
import { pino } from 'pino';
import { Writable } from 'node:stream';
import { createStreamApp } from '../../src/http/stream-app.js';
import { OpenStreams, type OpenStreamsDeps, type StreamLimits } from '../../src/http/streams/open-streams.js';
import { systemClock, type Clock } from '../../src/platform/clock.js';
import { readConfig } from '../../src/platform/config.js';
import { Health } from '../../src/platform/health.js';
import { Lifecycle } from '../../src/platform/lifecycle.js';
import type { StreamEvents, WireNotification } from '../../src/realtime/contract.js';
import { ConnectionCounts } from '../../src/realtime/sockets/connection-counts.js';
import { RoomReader } from '../../src/realtime/reading/room-reader.js';
import { urlOf } from './api.js';
import { tokens, type RealtimeNode } from './realtime.js';
import { Collected, within } from './signals.js';

export interface StreamServerOptions {
  readonly clock?: Clock;
  readonly limits?: Partial<StreamLimits>;
  /** Without them a user may have three streams. */
  readonly places?: Partial<Pick<OpenStreamsDeps, 'users' | 'addresses'>>;
  /** Before each look into a room, and between it and its answer. */
  readonly whileReading?: () => Promise<void>;
}

export type StreamServer = Awaited<ReturnType<typeof startStreamServer>>;

/** The streams of a realtime node, on a port of their own. */
export async function startStreamServer(node: RealtimeNode, options: StreamServerOptions = {}) {
  const { clock = systemClock, limits, places, whileReading } = options;
  const lines = new Collected<string>();
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.add(chunk.toString());
      done();
    },
  });
  const logger = pino({ level: 'trace' }, stream);
  const config = readConfig({ NODE_ENV: 'test', RATE_LIMIT_MAX: '10000', ALLOWED_ORIGINS: 'https://app.example.com' });
  const { metrics, database, backplane } = node;
  const reader = new RoomReader({ ...node, clock, recent: backplane.recent, notificationsLastMs: 30 * 86_400_000 });
  const streams = new OpenStreams({
    reader: {
      async read(question) {
        await whileReading?.();
        const answer = await reader.read(question);
        await whileReading?.();
        return answer;
      },
    },
    ...{ metrics, logger, clock, tap: backplane, presence: backplane.presence, random: () => 0 },
    users: new ConnectionCounts(3),
    addresses: node.server.addresses,
    ...places,
    limits: { bufferBytes: 1024 * 1024, drainMs: 0, ...limits },
  });
  const base = { config, logger, metrics, clock, version: 'test', database, tokens, redis: undefined, streams };
  const app = createStreamApp({ ...base, health: new Health(), lifecycle: new Lifecycle(clock, logger) });
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: urlOf(server),
    lines,
    streams,
    metrics,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface ServerSentEvent {
  readonly id?: string;
  readonly event: string;
  readonly data: unknown;
}

export interface OpenedStream {
  readonly response: Response;
  readonly events: Collected<ServerSentEvent>;
  readonly comments: Collected<string>;
  /** Resolves when the server has ended it, or the connection broke. */
  readonly ended: Promise<void>;
  stop(): void;
  first<Event extends keyof StreamEvents>(event: Event): Promise<StreamEvents[Event]>;
  /** What a client would send back as Last-Event-ID. */
  lastId(): string | undefined;
  seqs(): number[];
  hears(seq: number): Promise<unknown>;
}

/** A client of a stream, as EventSource reads one. */
export async function openStream(url: string, init: RequestInit = {}): Promise<OpenedStream> {
  const stopping = new AbortController();
  const response = await within(fetch(url, { ...init, signal: stopping.signal }), 'the stream to open');
  const events = new Collected<ServerSentEvent>();
  const comments = new Collected<string>();
  const ended = response.body === null ? Promise.resolve() : read(response.body, events, comments);
  const notifications = () =>
    events.items.filter(({ event }) => event === 'notification').map(({ data }) => data as WireNotification);
  return {
    response,
    events,
    comments,
    ended: ended.catch(() => undefined),
    stop: () => stopping.abort(),
    first: async (event) => (await events.first((each) => each.event === event, `the event ${event}`)).data as never,
    lastId: () => events.items.findLast(({ id }) => id !== undefined)?.id,
    seqs: () => notifications().map(({ seq }) => seq),
    hears: (seq) =>
      events.first(
        ({ event, data }) => event === 'notification' && (data as WireNotification).seq === seq,
        `the notification ${seq}`,
      ),
  };
}

export const signedIn = async (userId: string, headers: Record<string, string> = {}): Promise<RequestInit> => ({
  headers: { Authorization: `Bearer ${await tokens.mint(userId, { expiresInSeconds: 600 })}`, ...headers },
});

async function read(
  body: ReadableStream<Uint8Array>,
  events: Collected<ServerSentEvent>,
  comments: Collected<string>,
): Promise<void> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) take(block, events, comments);
  }
}

function take(block: string, events: Collected<ServerSentEvent>, comments: Collected<string>): void {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    const colon = line.indexOf(': ');
    if (colon === 0 || line.startsWith(':')) comments.add(line);
    else fields.set(line.slice(0, colon), line.slice(colon + 2));
  }
  const [event, data, id] = [fields.get('event'), fields.get('data'), fields.get('id')];
  if (event === undefined || data === undefined) return;
  events.add({ event, data: JSON.parse(data) as unknown, ...(id !== undefined && { id }) });
}
