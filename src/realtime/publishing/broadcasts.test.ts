import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import {
  connectClient,
  silent,
  startRealtimeNode,
  type ConnectedClient,
  type RealtimeNode,
} from '../../../test/support/realtime.js';
import { createRedisPrefix, redisUrl, startRedis } from '../../../test/support/redis.js';
import { eventually } from '../../../test/support/signals.js';
import { systemClock } from '../../platform/clock.js';
import { SynapError } from '../../platform/errors.js';
import { connectRedis } from '../../platform/redis.js';
import { Broadcasts, type BroadcastInput } from './broadcasts.js';
import { RedisPresence } from '../redis/presence.js';
import { roomKey, userRoom } from '../rooms.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

let nodes: RealtimeNode[] = [];
let clients: ConnectedClient[] = [];
afterEach(async () => {
  for (const { socket } of clients) socket.disconnect();
  await Promise.all(nodes.map((node) => node.close()));
  nodes = [];
  clients = [];
});

const startNode = async (more: { redisUrl?: string | undefined; prefix?: string } = {}) => {
  const node = await startRealtimeNode({ databaseUrl: database.url, ...more });
  await node.backplane.check.run();
  nodes.push(node);
  return node;
};
const connect = async (node: RealtimeNode, userId: string) => {
  const client = await connectClient(node, userId);
  clients.push(client);
  return client;
};
const broadcastsOf = ({ log, publisher, backplane }: RealtimeNode) =>
  new Broadcasts({ log, publisher, presence: backplane.presence });
async function presenceSettles({ backplane }: RealtimeNode): Promise<void> {
  if (backplane.presence instanceof RedisPresence) await backplane.presence.settle();
}

let users = 0;
const newUser = () => `broadcast-${++users}`;
const notification = { type: 'deploy.done', data: { version: 2 } };

describe.each(['redis', 'local'] as const)('a broadcast, %s', (mode) => {
  let node: RealtimeNode;
  let broadcasts: Broadcasts;
  beforeEach(async () => {
    node = await startNode({ prefix: createRedisPrefix(), redisUrl: mode === 'redis' ? redisUrl() : undefined });
    broadcasts = broadcastsOf(node);
  });

  test('to a user’s room is heard, counted, stored and numbered like any notification', async () => {
    const userId = newUser();
    const client = await connect(node, userId);
    await presenceSettles(node);
    const room = `user_${userId}`;
    expect(await broadcasts.broadcast({ room, notification })).toEqual({ success: true, broadcastCount: 1 });
    const [heard] = await client.heard.count(1, 'notification');
    expect(heard).toMatchObject({ ...notification, status: 'success', room, seq: 1 });
    expect(heard?.requestId).toBeUndefined();
    const { notifications } = await client.subscribe({ room, since: { epoch: null, seq: 0 } });
    expect(notifications).toEqual([heard]);
  });

  test('to a request’s room goes there alone, and only to its user', async () => {
    const [ada, bob] = [newUser(), newUser()];
    const [onAda, onBob] = [await connect(node, ada), await connect(node, bob)];
    for (const client of [onAda, onBob]) await client.subscribe({ room: 'request_r-1' });
    await presenceSettles(node);
    const error = { code: 'x', message: 'y' };
    const answer = await broadcasts.broadcast({
      room: 'request_r-1',
      userId: ada,
      notification: { ...notification, status: 'error', error },
    });
    expect(answer.broadcastCount).toBe(1);
    await onAda.heard.count(1, 'notification');
    await broadcasts.broadcast({ room: `user_${bob}`, notification: { type: 'last' } });
    await onBob.heard.count(1, 'notification');
    expect(onAda.heard.items).toMatchObject([{ room: 'request_r-1', requestId: 'r-1', status: 'error', error }]);
    expect(onBob.heard.items).toMatchObject([{ type: 'last', data: {} }]);
  });
});

test('a room that nobody is in is told all the same', async () => {
  const node = await startNode();
  const userId = newUser();
  expect(await broadcastsOf(node).broadcast({ room: `user_${userId}`, notification })).toEqual({
    success: true,
    broadcastCount: 0,
  });
  const client = await connect(node, userId);
  const { notifications } = await client.subscribe({ room: `user_${userId}`, since: { epoch: null, seq: 0 } });
  expect(notifications).toMatchObject([notification]);
});

test.each<[string, BroadcastInput, string]>([
  ['a request room without a user', { room: 'request_r', notification }, 'userId'],
  ['a user room with another user', { room: 'user_a', userId: 'b', notification }, 'userId'],
  ['a user id that cannot be stored', { room: 'request_r', userId: 'a\u0000', notification }, 'userId'],
  ['no user', { room: 'user_', notification }, 'room'],
  ['no room', { room: 'everyone', notification }, 'room'],
  ['a bad request id', { room: 'request_a b', userId: 'a', notification }, 'room'],
  ['no notification', { room: 'user_a', notification: undefined }, ''],
  ['no type', { room: 'user_a', notification: { data: {} } }, 'type'],
  ['data that is no object', { room: 'user_a', notification: { type: 't', data: [1] } }, 'data'],
  ['a status of its own', { room: 'user_a', notification: { type: 't', status: 'done' } }, 'status'],
  ['a member too many', { room: 'user_a', notification: { type: 't', extra: 1 } }, 'extra'],
  ['text that cannot be stored', { room: 'user_a', notification: { type: 't', data: { a: '\ud800' } } }, 'data.a'],
  ['a document', { room: 'user_a', notification: { type: 't', data: { a: 'x'.repeat(300_000) } } }, 'data'],
])('%s is refused and stores nothing', async (_name, input, path) => {
  const node = await startNode();
  const thrown: unknown = await broadcastsOf(node)
    .broadcast(input)
    .catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(SynapError);
  expect(thrown).toMatchObject({ code: 'validation_failed', faults: [{ path }] });
  const { rows } = await database.pool.query(`SELECT 1 FROM rooms WHERE key LIKE 'u:a' OR key LIKE 'r:a:%'`);
  expect(rows).toEqual([]);
});

describe('presence', () => {
  const ada = roomKey(userRoom('ada'));

  test('counts the sockets of all replicas and follows joins and leaves', async () => {
    const shared = { prefix: createRedisPrefix(), redisUrl: redisUrl() };
    const [a, b] = [await startNode(shared), await startNode(shared)];
    const counts = async () => {
      await Promise.all([a, b].map(presenceSettles));
      return Promise.all([a, b].map((node) => node.backplane.presence.count(ada)));
    };
    const first = await connect(a, 'ada');
    await connect(a, 'ada');
    await connect(b, 'ada');
    await connect(b, 'bob');
    expect(await counts()).toEqual([3, 3]);
    first.socket.disconnect();
    await eventually(
      async () => ((await counts()).every((count) => count === 2) ? true : undefined),
      'one socket less',
    );
    // A replica that closes takes its sockets with it.
    await b.server.close();
    expect((await counts())[0]).toBe(1);
  });

  test('a replica that was killed is not counted for long', async () => {
    const shared = { prefix: createRedisPrefix(), redisUrl: redisUrl() };
    const [node, observer] = [await startNode(shared), await startNode(shared)];
    await connect(node, 'ada');
    await presenceSettles(node);
    // The other replica, as it looks two minutes after the last word of the first.
    const clock = { ...systemClock, now: () => Date.now() + 120_000 };
    const redis = connectRedis(redisUrl(), 'test', silent);
    await redis.ping();
    const later = new RedisPresence(redis, { prefix: shared.prefix, nodeId: 'later', clock });
    expect([await observer.backplane.presence.count(ada), await later.count(ada)]).toEqual([1, 0]);
    redis.disconnect();
  });

  test('with Redis away a replica counts its own', async () => {
    const redis = await startRedis();
    const node = await startNode({ redisUrl: redis.url });
    await connect(node, 'ada');
    await presenceSettles(node);
    process.kill(redis.pid, 'SIGSTOP');
    expect(await node.backplane.presence.count(ada)).toBe(1);
    process.kill(redis.pid, 'SIGCONT');
    await node.close();
    nodes = [];
    await redis.stop();
  });
});
