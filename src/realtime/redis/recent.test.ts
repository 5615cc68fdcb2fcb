import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import { silent } from '../../../test/support/realtime.js';
import { ageLife, createRedisPrefix, startRedis, type RedisServer } from '../../../test/support/redis.js';
import { within } from '../../../test/support/signals.js';
import { systemClock } from '../../platform/clock.js';
import { connectRedis } from '../../platform/redis.js';
import { AdapterFrames } from './adapter-frame.js';
import type { RoomBatch } from '../publishing/fanout.js';
import type { CommittedEntry } from '../publishing/publisher.js';
import { RedisFanout } from './fanout.js';
import { RedisGeneration } from './generation.js';
import { RedisRecent } from './recent.js';
import { roomKey, userRoom } from '../rooms.js';

const epoch = '0190a000-0000-7000-8000-000000000001';
const room = roomKey(userRoom('ada'));

const batch = (from: number, to: number, more: { ageMs?: number; floor?: number; head?: number } = {}): RoomBatch => {
  const atMs = Date.now() - (more.ageMs ?? 0);
  const timestamp = new Date(atMs).toISOString();
  const entries = Array.from({ length: to - from + 1 }, (_, index): CommittedEntry => {
    const seq = from + index;
    return { room, seq, epoch, notification: { id: `n${seq}`, type: 't', data: {}, status: 'success', timestamp } };
  });
  const asOf = more.head === undefined ? undefined : { head: more.head, atMs };
  return { room, epoch, floor: more.floor, asOf, entries };
};

/** Each is an order of events in which a tail that is believed too easily would skip what was published before the read. */
describe('a tail that may be behind what was published is not believed', () => {
  let server: RedisServer;
  let redis: Redis;
  let generation: RedisGeneration;
  let prefix: string;
  let fanout: RedisFanout;
  let recent: RedisRecent;

  beforeAll(async () => {
    server = await startRedis();
    redis = connectRedis(server.url, 'test', silent);
    generation = new RedisGeneration(redis);
  });
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });
  beforeEach(async () => {
    prefix = createRedisPrefix();
    await ageLife(redis, prefix);
    ({ fanout, recent } = connect(generation));
  });
  afterEach(() => redis.flushall());

  const connect = (of: RedisGeneration) => {
    const options = { prefix, clock: systemClock, generation: of };
    const frames = new AdapterFrames(`${prefix}.io`);
    return { fanout: new RedisFanout(redis, frames, options), recent: new RedisRecent(redis, frames, options) };
  };
  const forget = async () => redis.del(await redis.keys(`${prefix}:room:*`));
  /** What a reader with `seq` is given: the last seq of the tail, or nothing. */
  const read = async (seq: number) => {
    const { tail } = (await within(recent.read(room, { epoch, seq }), 'an answer')) ?? {};
    return tail && { top: tail.top, seqs: tail.notifications.map((notification) => notification.seq) };
  };

  test('(the tail of a room that began with its first notification is)', async () => {
    await fanout.publish([batch(1, 3)]);
    expect(await read(1)).toEqual({ top: 3, seqs: [2, 3] });
  });

  test('a publisher that was frozen begins an expired room again, below what others published', async () => {
    await fanout.publish([batch(1, 3)]);
    await forget();
    await fanout.publish([batch(1, 1, { ageMs: 180_000 })]);
    expect(await read(1)).toBeUndefined();
  });

  test('the same with what it had read from Postgres', async () => {
    await fanout.publish([batch(6, 7, { floor: 5, head: 7, ageMs: 180_000 })]);
    expect(await read(7)).toBeUndefined();
  });

  test('FLUSHALL, and a call that ioredis repeats', async () => {
    await fanout.publish([batch(1, 3)]);
    await redis.flushall();
    await fanout.publish([batch(1, 1)]);
    expect(await read(1)).toBeUndefined();
    // Not in this minute, and not later: the room began in it.
    await fanout.publish([batch(1, 5)]);
    expect(await read(1)).toBeUndefined();
  });

  test('until Postgres was asked after it was seen: then it is, as soon as it has come up to that', async () => {
    await redis.flushall();
    await fanout.publish([batch(1, 1)]);
    const seen = await recent.read(room, { epoch, seq: 1 });
    seen?.prove?.(3);
    expect(await read(1)).toBeUndefined();
    await fanout.publish([batch(2, 4)]);
    expect(await read(1)).toEqual({ top: 4, seqs: [2, 3, 4] });
    expect((await recent.read(room, { epoch, seq: 1 }))?.prove).toBeUndefined();
  });

  test('what Postgres said proves nothing for a room that has begun again since', async () => {
    await redis.flushall();
    await fanout.publish([batch(1, 3)]);
    const seen = await recent.read(room, { epoch, seq: 1 });
    await redis.flushall();
    await fanout.publish([batch(1, 3)]);
    seen?.prove?.(3);
    expect(await read(1)).toBeUndefined();
  });

  test('a pump that has not come up to what Postgres had', async () => {
    await fanout.publish([batch(6, 7, { floor: 5, head: 8 })]);
    expect(await read(6)).toBeUndefined();
    await fanout.publish([batch(8, 8)]);
    expect(await read(6)).toEqual({ top: 8, seqs: [7, 8] });
  });

  test('a failover between asking and answering', async () => {
    await fanout.publish([batch(1, 1)]);
    const answers = [await generation.current(), 'promoted'];
    const changing = { current: () => Promise.resolve(answers.shift() ?? 'promoted') };
    ({ recent } = connect(changing as unknown as RedisGeneration));
    expect(await read(1)).toBeUndefined();
  });

  test('an entry is in the tail once however often it was published', async () => {
    await fanout.publish([batch(1, 2), batch(1, 3), batch(2, 3)]);
    expect(await read(0)).toEqual({ top: 3, seqs: [1, 2, 3] });
  });

  test('a jump over what is gone cuts the tail', async () => {
    await fanout.publish([batch(1, 3)]);
    await fanout.publish([batch(6, 7, { floor: 5, head: 7 })]);
    expect([await read(3), await read(5)]).toEqual([undefined, { top: 7, seqs: [6, 7] }]);
  });

  test('a tail that has expired before its room', async () => {
    await fanout.publish([batch(1, 3)]);
    await redis.del(await redis.keys(`${prefix}:room:*:tail`));
    expect([await read(1), await read(3)]).toEqual([undefined, { top: 3, seqs: [] }]);
    await fanout.publish([batch(4, 5)]);
    expect([await read(2), await read(3)]).toEqual([undefined, { top: 5, seqs: [4, 5] }]);
  });

  test('a frozen Redis is not waited for', async () => {
    await fanout.publish([batch(1, 3)]);
    process.kill(server.pid, 'SIGSTOP');
    expect(await read(1)).toBeUndefined();
    const startedAt = Date.now();
    expect(await read(1)).toBeUndefined();
    expect(Date.now() - startedAt).toBeLessThan(400);
    process.kill(server.pid, 'SIGCONT');
  });
});
