import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { io as connectSocket, type Socket } from 'socket.io-client';
import { systemClock, type Clock } from '../../src/platform/clock.js';
import { createDatabase } from '../../src/platform/database.js';
import { createMetrics } from '../../src/platform/metrics.js';
import { connectRedis, type Redis } from '../../src/platform/redis.js';
import { createTokens } from '../../src/platform/tokens.js';
import { createLocalBackplane } from '../../src/realtime/backplane.js';
import type {
  ClientToServerEvents,
  Refused,
  ServerToClientEvents,
  Subscribed,
  SubscribeRequest,
  WireNotification,
} from '../../src/realtime/contract.js';
import { OrderedPublisher } from '../../src/realtime/publishing/ordered-publisher.js';
import { NotificationLog } from '../../src/realtime/log/postgres-log.js';
import type { CommittedEntry } from '../../src/realtime/publishing/publisher.js';
import { createRedisBackplane } from '../../src/realtime/redis/backplane.js';
import { createRealtimeServer, type RealtimeServerDeps } from '../../src/realtime/sockets/server.js';
import { createRedisPrefix, redisUrl as sharedRedisUrl } from './redis.js';
import { Collected, nextEvent, within } from './signals.js';

export const silent = pino({ level: 'silent' });
export const tokens = createTokens('a secret that is only used in tests, 32+');

export interface NodeOptions {
  readonly databaseUrl: string;
  /** Absent: single node. */
  readonly redisUrl?: string | undefined;
  /** Another way to the same Redis, for the connection that listens. */
  readonly subscriberUrl?: string;
  readonly prefix?: string;
  /** False: do not wait until Redis is connected. */
  readonly awaitRedis?: boolean;
  readonly clock?: Clock;
  /** What the server gets beside the test's own. */
  readonly server?: Partial<RealtimeServerDeps>;
  readonly notificationsLastMs?: number;
}

export type RealtimeNode = Awaited<ReturnType<typeof startRealtimeNode>>;

/** A process' realtime parts, as the composition root joins them: log, publisher, backplane and a listening server. */
export async function startRealtimeNode(options: NodeOptions) {
  const { databaseUrl, redisUrl, prefix = 'synap', clock = systemClock } = options;
  const database = createDatabase(
    databaseUrl,
    { url: databaseUrl, poolMin: 0, poolMax: 5, idleTimeoutMs: 10_000, queryTimeoutMs: 10_000 },
    silent,
  );
  const redises: Redis[] = [];
  const metrics = createMetrics('synap_');
  const connect = (purpose: string, more?: { maxRetriesPerRequest: number }) => {
    const way = (purpose === 'subscriber' && options.subscriberUrl) || redisUrl;
    const redis = connectRedis(way ?? '', purpose, silent, more);
    redises.push(redis);
    return redis;
  };
  const backplane =
    redisUrl === undefined
      ? createLocalBackplane({ clock, metrics })
      : createRedisBackplane({ connect, prefix, metrics, logger: silent, clock });
  const log = new NotificationLog(database);
  const publisher = new OrderedPublisher({ log, fanout: backplane.fanout, metrics, logger: silent, clock });
  const httpServer = createServer((_request, response) => response.writeHead(404).end());
  const { notificationsLastMs = Infinity } = options;
  const server = createRealtimeServer({
    ...{ httpServer, backplane, log, tokens, metrics, clock, notificationsLastMs, logger: silent },
    allowedOrigins: ['http://localhost:5173'],
    drainMs: 0,
    ...options.server,
  });
  httpServer.listen(0, '127.0.0.1');
  await once(httpServer, 'listening');
  if (options.awaitRedis !== false) await Promise.all(redises.map((redis) => nextEvent(redis, 'ready')));
  const url = `http://127.0.0.1:${(httpServer.address() as AddressInfo).port}`;
  return {
    url,
    httpServer,
    backplane,
    log,
    metrics,
    publisher,
    server,
    database,
    async close() {
      await server.close();
      httpServer.close();
      httpServer.closeAllConnections();
      await publisher.drain();
      await backplane.close();
      await database.close();
    },
  };
}

export type Client = Socket<ServerToClientEvents, ClientToServerEvents>;

export interface ConnectedClient {
  readonly socket: Client;
  readonly heard: Collected<WireNotification>;
  subscribe(request: SubscribeRequest): Promise<Subscribed>;
  ask(event: string, message: unknown): Promise<Subscribed | Refused>;
}

/** A plain client of that user, connected. Notifications are collected from the start. */
export async function connectClient(
  node: { readonly url: string },
  userId: string,
  transport: 'websocket' | 'polling' = 'websocket',
): Promise<ConnectedClient> {
  const client = openClient(node, { token: await tokens.mint(userId, { expiresInSeconds: 600 }) }, transport);
  await nextEvent(client.socket as never, 'connect');
  return client;
}

function openClient(
  node: { readonly url: string },
  auth: Record<string, unknown>,
  transport: 'websocket' | 'polling' = 'websocket',
): ConnectedClient {
  const socket: Client = connectSocket(node.url, {
    auth,
    transports: [transport],
    reconnectionDelay: 50,
    forceNew: true,
  });
  const heard = new Collected<WireNotification>();
  socket.on('notification', heard.add);
  const ask = (event: string, message: unknown) =>
    within((socket as Socket).emitWithAck(event, message) as Promise<Subscribed | Refused>, `the answer to ${event}`);
  return {
    socket,
    heard,
    ask,
    async subscribe(request) {
      const answer = await ask('subscribe', request);
      if (!answer.ok) throw new Error(`refused: ${answer.code}`);
      return answer;
    },
  };
}

let names = 0;
/** Names of users that no other test has. */
export const userNames = (prefix: string) => (): string => `${prefix}-${++names}`;

/** One node and its clients, for tests that look at a server from outside. */
export class RealtimeStage {
  readonly #databaseUrl: string;
  readonly #clients: ConnectedClient[] = [];
  #node: RealtimeNode | undefined;

  constructor(databaseUrl: string) {
    this.#databaseUrl = databaseUrl;
  }

  get node(): RealtimeNode {
    if (this.#node === undefined) throw new Error('the stage has not started');
    return this.#node;
  }

  async start(mode: 'redis' | 'local', more: Partial<NodeOptions> = {}): Promise<void> {
    const url = mode === 'redis' ? sharedRedisUrl() : undefined;
    const prefix = createRedisPrefix();
    this.#node = await startRealtimeNode({ databaseUrl: this.#databaseUrl, prefix, redisUrl: url, ...more });
    await this.#node.backplane.check.run();
  }

  async close(): Promise<void> {
    for (const { socket } of this.#clients.splice(0)) socket.disconnect();
    await this.#node?.close();
    this.#node = undefined;
  }

  async connect(userId: string): Promise<ConnectedClient> {
    return this.#keep(await connectClient(this.node, userId));
  }

  open(auth: Record<string, unknown>): ConnectedClient {
    return this.#keep(openClient(this.node, auth));
  }

  /** A notification as a finished job leaves it: committed, then published. */
  async say(userId: string, n: number, requestId?: string): Promise<readonly CommittedEntry[]> {
    const draft = { type: 'test.said', status: 'success' as const, data: { n }, userId };
    const entries = await this.node.log.append({ ...draft, ...(requestId !== undefined && { requestId }) });
    this.node.publisher.publish(entries);
    return entries;
  }

  async sayMany(userId: string, count: number): Promise<void> {
    for (let n = 1; n <= count; n++) await this.say(userId, n);
  }

  #keep(client: ConnectedClient): ConnectedClient {
    this.#clients.push(client);
    return client;
  }
}
