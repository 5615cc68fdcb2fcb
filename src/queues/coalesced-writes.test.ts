import { afterEach, expect, jest, test } from '@jest/globals';
import { pino } from 'pino';
import { redisUrl } from '../../test/support/redis.js';
import { connectRedis, type Redis } from '../platform/redis.js';
import { nextEvent } from '../../test/support/signals.js';
import { coalesceWrites } from './coalesced-writes.js';

let redis: Redis | undefined;
afterEach(() => redis?.disconnect());

async function connect(): Promise<Redis> {
  redis = connectRedis(redisUrl(), 'test', pino({ level: 'silent' }));
  coalesceWrites(redis);
  if (redis.status !== 'ready') await nextEvent(redis, 'ready');
  return redis;
}

test('commands of one turn leave in one write, in their order, and each has its own answer', async () => {
  const connected = await connect();
  const writes = jest.spyOn(connected.stream, '_writev' as never);
  const echo = async (text: string) => Promise.resolve().then(() => connected.echo(text));
  expect(await Promise.all(['a', 'b', 'c'].map(echo))).toEqual(['a', 'b', 'c']);
  expect(writes).toHaveBeenCalledTimes(1);
});

test('a connection that is made anew in the middle of a turn still answers', async () => {
  const connected = await connect();
  const before = connected.echo('before');
  connected.stream.destroy();
  expect(await before).toBe('before');
  expect(await connected.echo('after')).toBe('after');
});
