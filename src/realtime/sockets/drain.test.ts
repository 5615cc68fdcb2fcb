import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { io as connectSocket } from 'socket.io-client';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { knock, RawWebSocket } from '../../../test/support/engine.js';
import {
  silent,
  startRealtimeNode,
  tokens,
  userNames,
  type Client,
  type RealtimeNode,
} from '../../../test/support/realtime.js';
import { createRedisPrefix, redisUrl } from '../../../test/support/redis.js';
import { Collected, nextEvent, within } from '../../../test/support/signals.js';
import type { Closing, Subscribed, WireNotification } from '../contract.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const newUser = userNames('drain');

/** A plain client that goes on at the other replica where it was: `seq` by `seq`, or the test fails. */
class Follower {
  readonly applied = new Collected<number>();
  readonly closings: Closing[] = [];
  readonly #userId: string;
  readonly #transports: string[];
  readonly #replicas: RealtimeNode[];
  #socket: Client | undefined;
  #epoch: string | null = null;

  constructor(userId: string, transports: string[], replicas: RealtimeNode[]) {
    this.#userId = userId;
    this.#transports = transports;
    this.#replicas = [...replicas];
  }

  get last(): number {
    return this.applied.items.at(-1) ?? 0;
  }

  /** At the first of its replicas that takes it. */
  async connect(): Promise<void> {
    const [replica] = this.#replicas;
    const token = await tokens.mint(this.#userId, { expiresInSeconds: 600 });
    const options = { auth: { token }, transports: this.#transports, forceNew: true, reconnection: false };
    const socket: Client = connectSocket(replica?.url ?? '', options);
    this.#socket = socket;
    let live: WireNotification[] | undefined = [];
    socket.on('closing', (closing) => this.closings.push(closing));
    socket.on('notification', (each) => (live === undefined ? this.#apply(each) : live.push(each)));
    socket.on('disconnect', (reason) => reason !== 'io client disconnect' && this.#goOn());
    socket.on('connect_error', () => this.#goOn());
    socket.on('connect', () => {
      const since = { epoch: this.#epoch, seq: this.last };
      socket.emit('subscribe', { room: `user_${this.#userId}`, since }, (answer) => {
        const { epoch, notifications } = answer as Subscribed;
        this.#epoch = epoch;
        for (const each of [...notifications, ...(live ?? [])]) this.#apply(each);
        live = undefined;
      });
    });
  }

  close(): void {
    this.#socket?.disconnect();
  }

  #goOn(): void {
    if (this.#replicas.length > 1) this.#replicas.shift();
    void this.connect();
  }

  #apply({ seq, epoch }: WireNotification): void {
    this.#epoch = epoch;
    if (seq === this.last + 1) this.applied.add(seq);
  }
}

describe('two replicas, of which one stops', () => {
  let replicas: RealtimeNode[];
  let followers: Follower[];
  beforeEach(async () => {
    const options = { databaseUrl: database.url, redisUrl: redisUrl(), prefix: createRedisPrefix() };
    const start = () => startRealtimeNode({ ...options, server: { drainMs: 5_000 } });
    replicas = await Promise.all([start(), start()]);
    for (const replica of replicas) await replica.backplane.check.run();
  });
  afterEach(async () => {
    for (const follower of followers) follower.close();
    await Promise.all(replicas.map((replica) => replica.close()));
  });

  test('nobody misses, repeats or reorders anything, by whichever transport, in the middle of an upgrade too', async () => {
    const userId = newUser();
    const [stopping, staying] = replicas as [RealtimeNode, RealtimeNode];
    const kinds = [['websocket'], ['polling'], ['polling', 'websocket']];
    followers = Array.from({ length: 24 }, (_, n) => new Follower(userId, kinds[n % 3] ?? [], replicas));
    const settled = followers.slice(0, 18);
    await Promise.all(settled.map((follower) => follower.connect()));
    let said = 0;
    const say = async (): Promise<void> => {
      said += 1;
      staying.publisher.publish(
        await staying.log.append({ type: 'test.said', status: 'success', data: { said }, userId }),
      );
    };
    await say();
    await Promise.all(settled.map((follower) => follower.applied.count(1, 'notification')));
    // These are still shaking hands or upgrading when it begins.
    await Promise.all(followers.slice(18).map((follower) => follower.connect()));
    const drained = stopping.server.close();
    const isOver = drained.then(() => true);
    let over = false;
    // Somebody speaks all the while.
    while (!over) over = await Promise.race([say().then(() => false), isOver]);
    await say();
    await Promise.all(followers.map((each) => each.applied.first((seq) => seq === said, `${said} notifications`)));
    expect(stopping.server.io.engine.clientsCount).toBe(0);
    expect(staying.server.io.engine.clientsCount).toBe(24);
    expect(new Set(settled.map(({ closings }) => closings.map(({ code }) => code).join()))).toEqual(
      new Set(['draining']),
    );
  });
});

describe('a replica that stops', () => {
  let node: RealtimeNode;
  let clients: Client[];
  const start = async (drainMs: number): Promise<void> => {
    node = await startRealtimeNode({ databaseUrl: database.url, server: { drainMs, logger: silent } });
  };
  async function connectMany(count: number): Promise<void> {
    const token = await tokens.mint(newUser(), { expiresInSeconds: 600 });
    const options = { auth: { token }, transports: ['websocket'], forceNew: true, reconnection: false };
    clients = Array.from({ length: count }, () => connectSocket(node.url, options));
    await Promise.all(clients.map((client) => nextEvent(client as never, 'connect')));
  }
  afterEach(async () => {
    for (const client of clients) client.disconnect();
    await node.close();
  });

  test('lets nobody in meanwhile, and ends its connections in batches over its time', async () => {
    await start(1_500);
    await connectMany(50);
    const times: number[] = [];
    for (const socket of node.server.io.sockets.sockets.values())
      socket.once('disconnect', () => times.push(Date.now()));
    const startedAt = Date.now();
    const drained = node.server.close();
    expect(await knock(node.url, 'polling')).toMatchObject({ status: 403, text: expect.stringContaining('draining') });
    expect(await knock(node.url, 'websocket')).toMatchObject({ status: 403, text: 'draining' });
    await within(drained, 'the drain');
    expect(Date.now() - startedAt).toBeLessThan(1_500);
    expect(times).toHaveLength(50);
    const batches = new Map<number, number>();
    for (const at of times)
      batches.set(Math.round((at - startedAt) / 50), (batches.get(Math.round((at - startedAt) / 50)) ?? 0) + 1);
    expect(batches.size).toBeGreaterThanOrEqual(4);
    expect(Math.max(...batches.values())).toBeLessThan(25);
  });

  test('does not wait for who is not there any more', async () => {
    await start(8_000);
    clients = [];
    const token = await tokens.mint(newUser(), { expiresInSeconds: 60 });
    const silentOne = await RawWebSocket.connect(node.url, { token });
    const startedAt = Date.now();
    await within(node.server.close(), 'the drain');
    expect(Date.now() - startedAt).toBeLessThan(5_000);
    const closed = nextEvent(silentOne.tcp, 'close');
    silentOne.tcp.resume();
    await closed;
  });
});
