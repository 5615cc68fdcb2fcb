import type { Pool } from 'pg';
import { systemClock } from '../../src/platform/clock.js';
import type { CommittedEntry } from '../../src/realtime/publishing/publisher.js';
import { roomKey, userRoom } from '../../src/realtime/rooms.js';
import { Sweeper } from '../../src/realtime/publishing/sweeper.js';
import { connectClient, silent, startRealtimeNode, type ConnectedClient, type RealtimeNode } from './realtime.js';
import { createRedisPrefix } from './redis.js';

/** Nodes on one database and one Redis (or a single one without), and clients of any of them. */
export class RealtimeCluster {
  readonly #databaseUrl: string;
  readonly #clients: ConnectedClient[] = [];
  readonly #nodes: RealtimeNode[] = [];
  #redisUrl: string | undefined;
  #prefix = createRedisPrefix();

  constructor(databaseUrl: string) {
    this.#databaseUrl = databaseUrl;
  }

  /** What nodes started from now on use. @returns the prefix of their keys and channels */
  use(redisUrl: string | undefined): string {
    this.#redisUrl = redisUrl;
    this.#prefix = createRedisPrefix();
    return this.#prefix;
  }

  async start(more: { readonly awaitRedis?: boolean } = {}): Promise<RealtimeNode> {
    const [databaseUrl, redisUrl, prefix] = [this.#databaseUrl, this.#redisUrl, this.#prefix];
    const node = await startRealtimeNode({ databaseUrl, redisUrl, prefix, ...more });
    this.#nodes.push(node);
    await node.backplane.check.run();
    return node;
  }

  async connect(node: RealtimeNode, userId: string, transport?: 'websocket' | 'polling'): Promise<ConnectedClient> {
    const client = await connectClient(node, userId, transport);
    this.#clients.push(client);
    return client;
  }

  async close(): Promise<void> {
    for (const { socket } of this.#clients.splice(0)) socket.disconnect();
    await Promise.all(this.#nodes.splice(0).map((node) => node.close()));
  }
}

/** Commits a notification to its user's room without publishing it. */
export const append = (node: RealtimeNode, userId: string, n: number): Promise<CommittedEntry[]> =>
  node.log.append({ type: 'test.thing.done', status: 'success', data: { n }, userId });

export async function appendMany(node: RealtimeNode, userId: string, count: number): Promise<CommittedEntry[]> {
  const entries = await Promise.all(upTo(count).map((n) => append(node, userId, n)));
  return entries.flat().toSorted((a, b) => a.seq - b.seq);
}

export const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);
export const seqs = (client: ConnectedClient) => client.heard.items.map(({ seq }) => seq);
export const hearsUpTo = (client: ConnectedClient, last: number) =>
  client.heard.first(({ seq }) => seq === last, `seq ${last}`);

/** A sweeper whose clock is ahead, for which what was just committed is old enough. */
export const sweeperOf = (node: RealtimeNode, aheadMs = 5_000) => {
  const clock = { ...systemClock, now: () => Date.now() + aheadMs };
  return new Sweeper({ log: node.log, publisher: node.publisher, logger: silent, clock });
};

export async function publishedSeq(pool: Pool, userId: string): Promise<number> {
  const statement = 'SELECT "publishedSeq" AS seq FROM rooms WHERE key = $1';
  const { rows } = await pool.query<{ seq: string }>(statement, [roomKey(userRoom(userId))]);
  return Number(rows[0]?.seq);
}
