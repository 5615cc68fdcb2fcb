import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import {
  connectClient,
  startRealtimeNode,
  type ConnectedClient,
  type RealtimeNode,
} from '../../../test/support/realtime.js';
import { createRedisPrefix, redisUrl } from '../../../test/support/redis.js';
import type { CommittedEntry } from './publisher.js';
import { roomKey, userRoom } from '../rooms.js';

const epoch = '0190a000-0000-7000-8000-000000000001';
const otherEpoch = '0190a000-0000-7000-8000-000000000002';
const room = roomKey(userRoom('ada_#1'));

const entry = (seq: number, at = epoch): CommittedEntry => ({
  room,
  seq,
  epoch: at,
  notification: {
    id: `n${seq}`,
    type: 'note.creation.completed',
    data: {
      title: 'über 1 Notiz 🗒',
      list: [1, 2.5, null, true],
      nested: { empty: {}, none: [] },
      long: 'x'.repeat(70_000),
    },
    status: 'error',
    timestamp: '2026-11-22T00:00:00.000Z',
    requestId: 'req-1',
    error: { code: 'x', message: 'y' },
  },
});

const batch = (seqs: readonly number[], floor?: number, at = epoch) => ({
  room,
  epoch: at,
  floor,
  entries: seqs.map((seq) => entry(seq, at)),
});

/** The contract of a fan-out: both implementations answer alike, and their sockets hear alike. */
describe.each(['redis', 'local'] as const)('%s fan-out', (mode) => {
  let database: TestDatabase;
  let node: RealtimeNode;
  let client: ConnectedClient;
  let prefix: string;

  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());

  beforeEach(async () => {
    prefix = createRedisPrefix();
    node = await startRealtimeNode({
      databaseUrl: database.url,
      prefix,
      redisUrl: mode === 'redis' ? redisUrl() : undefined,
    });
    client = await connectClient(node, 'ada_#1');
    // The Redis subscription is in place once a probe comes through it.
    await node.backplane.check.run();
  });
  afterEach(async () => {
    client.socket.disconnect();
    await node.close();
  });

  const publish = async (...batches: ReturnType<typeof batch>[]) => node.backplane.fanout.publish(batches);
  const seqsHeard = async (count: number) => (await client.heard.count(count, 'notifications')).map(({ seq }) => seq);

  test('a socket hears the notification exactly as it was given, with room, seq and epoch', async () => {
    expect(await publish(batch([1]))).toEqual([{ outcome: 'published', top: 1, fresh: 1 }]);
    const [heard] = await client.heard.count(1, 'notification');
    expect(heard).toEqual({ ...entry(1).notification, room: 'user_ada_#1', seq: 1, epoch });
  });

  test('what is out already is not sent again', async () => {
    await publish(batch([1, 2]));
    expect(await publish(batch([1, 2]), batch([2, 3]))).toEqual([
      { outcome: 'published', top: 2, fresh: 0 },
      { outcome: 'published', top: 3, fresh: 1 },
    ]);
    expect(await seqsHeard(3)).toEqual([1, 2, 3]);
  });

  test('a gap stops at the gap', async () => {
    await publish(batch([1]));
    expect(await publish(batch([2, 4, 5]))).toEqual([{ outcome: 'gap', top: 2, fresh: 1 }]);
    expect(await publish(batch([5]))).toEqual([{ outcome: 'gap', top: 2, fresh: 0 }]);
    expect(await publish(batch([3, 4, 5]))).toEqual([{ outcome: 'published', top: 5, fresh: 3 }]);
    expect(await seqsHeard(5)).toEqual([1, 2, 3, 4, 5]);
  });

  test('of many rooms at once each has its own answer, and a gap stops none but its own', async () => {
    const rooms = Array.from({ length: 70 }, (_, nth) => ({ ...batch([1]), room: roomKey(userRoom(`bob-${nth}`)) }));
    const all = rooms.map((one, nth) => ({
      ...one,
      entries: (nth % 2 === 0 ? [1, 2] : [1, 3]).map((seq) => ({ ...entry(seq), room: one.room })),
    }));
    const expected = all.map((_, nth) =>
      nth % 2 === 0 ? { outcome: 'published', top: 2, fresh: 2 } : { outcome: 'gap', top: 1, fresh: 1 },
    );
    expect(await publish(...all)).toEqual(expected);
  });

  test('a cold room starts at 1 or at what Postgres knows to be published, nowhere else', async () => {
    expect(await publish(batch([7]))).toEqual([{ outcome: 'gap', top: undefined, fresh: 0 }]);
    expect(await publish(batch([7, 8], 6))).toEqual([{ outcome: 'published', top: 8, fresh: 2 }]);
    expect(await publish(batch([9]))).toEqual([{ outcome: 'published', top: 9, fresh: 1 }]);
    expect(await seqsHeard(3)).toEqual([7, 8, 9]);
  });

  test('a floor raises a top that is behind and never lowers one', async () => {
    await publish(batch([1, 2, 3]));
    expect(await publish(batch([2, 3], 1))).toEqual([{ outcome: 'published', top: 3, fresh: 0 }]);
    expect(await publish(batch([11], 10))).toEqual([{ outcome: 'published', top: 11, fresh: 1 }]);
    expect(await seqsHeard(4)).toEqual([1, 2, 3, 11]);
  });

  test('a new epoch of a room starts over', async () => {
    await publish(batch([1, 2, 3]));
    expect(await publish(batch([1], undefined, otherEpoch))).toEqual([{ outcome: 'published', top: 1, fresh: 1 }]);
    expect(await seqsHeard(4)).toEqual([1, 2, 3, 1]);
  });

  test('progress and text reach the room', async () => {
    const frames: unknown[] = [];
    const both = new Promise<void>((resolve) => {
      const add = (frame: unknown) => void (frames.push(frame) === 2 && resolve());
      client.socket.on('progress', add);
      client.socket.on('delta', add);
    });
    const base = { room: 'user_ada_#1', requestId: 'r', eventId: 'e' };
    const progress = { ...base, percent: 50, timestamp: '2026-11-22T00:00:00.000Z' };
    const delta = { ...base, attempt: 1, offset: 0, text: 'hel' };
    const { fanout } = node.backplane;
    // A probe first: the adapter's connection is known to be ready, and so is the socket's transport.
    await publish(batch([1]));
    await client.heard.count(1, 'probe');
    expect([
      fanout.ephemeral(room, { event: 'progress', payload: progress }),
      fanout.ephemeral(room, { event: 'delta', payload: delta }),
    ]).toEqual([true, true]);
    await both;
    expect(frames).toEqual([progress, delta]);
  });

  if (mode === 'local') return;

  test('the room is cold in another life of Redis, although its keys are still there', async () => {
    await publish(batch([1, 2]));
    const redis = new Redis(redisUrl());
    const keys = await redis.keys(`${prefix}:room:*`);
    const replid = /master_replid:(\w{12})/.exec(await redis.info('replication'))?.[1] ?? '';
    const [key = ''] = keys;
    const lifetimeMs = await redis.pttl(key);
    await redis.rename(key, key.replace(replid, 'another-life'));
    redis.disconnect();
    expect(keys).toEqual([`${prefix}:room:{${room}}:${replid}:${epoch}:top`]);
    expect(lifetimeMs).toBeGreaterThan(0);
    expect(await publish(batch([3]))).toEqual([{ outcome: 'gap', top: undefined, fresh: 0 }]);
  });
});
