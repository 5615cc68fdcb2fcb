import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { ManualClock } from '../../../test/support/manual-clock.js';
import { createRedisPrefix, redisUrl } from '../../../test/support/redis.js';
import { StreamStage } from '../../../test/support/stream-stage.js';
import { systemClock } from '../../platform/clock.js';
import { AdapterFrames } from '../../realtime/redis/adapter-frame.js';
import { RedisFanout } from '../../realtime/redis/fanout.js';
import { RedisGeneration } from '../../realtime/redis/generation.js';

let stage: StreamStage;
beforeAll(async () => {
  stage = await StreamStage.create();
});
afterAll(() => stage.database.drop());

describe.each(['redis', 'local'] as const)('a stream, %s', (mode) => {
  beforeEach(() => stage.start(mode));
  afterEach(() => stage.stop());

  test('begins with the head of the room and then has what comes, in order, each with its id', async () => {
    await stage.realtime.sayMany(stage.user, 2);
    const stream = await stage.open();
    const { epoch } = await stage.head();
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(stream.response.headers.get('cache-control')).toBe('no-store, no-transform');
    expect(await stream.first('ready')).toMatchObject({ room: `user_${stage.user}`, epoch, seq: 2 });
    for (let n = 3; n <= 5; n++) await stage.say(n);
    await stream.hears(5);
    expect(stream.seqs()).toEqual([3, 4, 5]);
    expect(stream.lastId()).toBe(`${epoch}.5`);
  });

  test('cut off anywhere, goes on after the last event that its client had', async () => {
    const first = await stage.open();
    await first.first('ready');
    await stage.realtime.sayMany(stage.user, 3);
    await first.hears(3);
    first.stop();
    await stage.realtime.sayMany(stage.user, 4);
    const id = first.lastId() ?? '';
    const second = await stage.open('', { 'Last-Event-ID': id });
    await second.hears(7);
    const third = await stage.open(`?lastEventId=${id}`);
    await third.hears(7);
    expect([second.seqs(), third.seqs()]).toEqual([
      [4, 5, 6, 7],
      [4, 5, 6, 7],
    ]);
  });

  test('of a room that was empty has all of it from its first on, and no reset', async () => {
    const first = await stage.open();
    expect(await first.first('ready')).toMatchObject({ epoch: null, seq: 0 });
    expect(first.lastId()).toMatch(/^null\.0\.\d{13}$/);
    first.stop();
    await stage.realtime.sayMany(stage.user, 2);
    const second = await stage.open('', { 'Last-Event-ID': first.lastId() ?? '' });
    await second.hears(2);
    expect([second.seqs(), second.events.items.map(({ event }) => event)]).toEqual([
      [1, 2],
      ['ready', 'notification', 'notification'],
    ]);
  });

  test('has more than a page of what was missed, whole and in order, with what is said meanwhile', async () => {
    await stage.say(1);
    await stage.fill(2, 1_000);
    const { epoch } = await stage.head();
    const opening = stage.open('', { 'Last-Event-ID': `${epoch}.0` });
    for (let n = 1001; n <= 1_040; n++) await stage.say(n);
    const stream = await opening;
    await stream.hears(1_040);
    expect(stream.seqs()).toEqual(Array.from({ length: 1_040 }, (_, index) => index + 1));
  });

  test('hears what is published while it reads the log, once', async () => {
    await stage.realtime.sayMany(stage.user, 3);
    const { epoch } = await stage.head();
    let reads = 0;
    // One that the first look finds as well, and one between the look and its answer.
    const whileReading = async (): Promise<void> => {
      if (++reads <= 2) await stage.say(3 + reads);
    };
    await stage.serve({ whileReading });
    const stream = await stage.open('', { 'Last-Event-ID': `${epoch}.1` });
    await stream.hears(5);
    expect(stream.seqs()).toEqual([2, 3, 4, 5]);
  });

  test('what was never published is found when it is in doubt, and a gap is filled from the log', async () => {
    const clock = new ManualClock(Date.now());
    await stage.serve({ clock });
    const stream = await stage.open();
    await stream.first('ready');
    const draft = { type: 'test.said', status: 'success' as const, data: {}, userId: stage.user };
    await stage.node.log.append(draft);
    await clock.advance(30_000);
    await stream.hears(1);
    await stage.node.log.append(draft);
    await stage.node.backplane.fanout.publish([
      {
        room: stage.key,
        epoch: (await stage.head()).epoch ?? '',
        floor: 2,
        entries: await stage.node.log.append(draft),
      },
    ]);
    await stream.hears(3);
    expect(stream.seqs()).toEqual([1, 2, 3]);
  });

  test('whose client was away for longer than what is kept begins with a reset, and goes on from the newest', async () => {
    const draft = { type: 'test.said', status: 'success' as const, data: {}, userId: stage.user };
    // Long ago: no tail has them.
    for (let n = 1; n <= 5; n++) await stage.node.log.append(draft);
    const { epoch } = await stage.head();
    await stage.database.pool.query('DELETE FROM room_entries WHERE room = $1 AND seq <= 3', [stage.key]);
    const stream = await stage.open('', { 'Last-Event-ID': `${epoch}.1` });
    expect(await stream.first('reset')).toEqual({ room: `user_${stage.user}`, reason: 'too_old', epoch, seq: 5 });
    expect(stream.lastId()).toBe(`${epoch}.5`);
    await stage.say(6);
    await stream.hears(6);
    expect(stream.seqs()).toEqual([6]);
    const kept = await stage.open('', { 'Last-Event-ID': `${epoch}.3` });
    await kept.hears(6);
    expect(kept.seqs()).toEqual([4, 5, 6]);
    const other = await stage.open('', { 'Last-Event-ID': `${crypto.randomUUID()}.2` });
    expect(await other.first('reset')).toMatchObject({ reason: 'epoch_changed', epoch, seq: 6 });
  });

  test('has progress and text as the socket has them', async () => {
    const stream = await stage.open('?room=request_r1');
    await stream.first('ready');
    const base = { room: 'request_r1', requestId: 'r1', eventId: crypto.randomUUID() };
    const { publisher } = stage.node;
    const key = `r:${stage.user}:r1`;
    const progress = { ...base, percent: 50, timestamp: new Date().toISOString() };
    publisher.ephemeral(key, { event: 'progress', payload: progress });
    publisher.ephemeral(key, { event: 'delta', payload: { ...base, attempt: 1, offset: 0, text: 'Hé\nllo' } });
    expect(await stream.first('progress')).toEqual(progress);
    expect(await stream.first('delta')).toEqual({ ...base, attempt: 1, offset: 0, text: 'Hé\nllo' });
  });

  test('opened in the middle of an answer begins with its text so far, and continues', async () => {
    const base = { room: 'request_r2', requestId: 'r2', eventId: crypto.randomUUID(), attempt: 1 };
    const key = `r:${stage.user}:r2`;
    const write = (offset: number, text: string) =>
      stage.node.backplane.fanout.ephemeral(key, { event: 'delta', payload: { ...base, offset, text } });
    write(0, 'Hello ');
    write(6, 'wor');
    const stream = await stage.open('?room=request_r2');
    expect(await stream.first('delta')).toEqual({ ...base, offset: 0, text: 'Hello wor' });
    write(9, 'ld');
    const isRest = ({ data }: { data: unknown }) => (data as { offset?: number }).offset === 9;
    expect(await stream.events.first(isRest, 'the rest')).toMatchObject({ data: { text: 'ld' } });
  });
});

test('a stream that missed pieces of a text while Redis was away has them after it, and continues', async () => {
  const [clock, prefix, redis] = [new ManualClock(Date.now()), createRedisPrefix(), new Redis(redisUrl())];
  await stage.realtime.start('redis', { prefix });
  await stage.serve({ clock });
  const { fanout } = stage.node.backplane;
  // Its channel is nobody's: what it writes is kept, and not heard.
  const options = { prefix, clock: systemClock, generation: new RedisGeneration(redis) };
  const unheard = new RedisFanout(redis, new AdapterFrames('nobody'), options);
  const base = { room: 'request_r3', requestId: 'r3', eventId: crypto.randomUUID(), attempt: 1 };
  const write = (by: Pick<RedisFanout, 'ephemeral'>, offset: number, text: string) =>
    by.ephemeral(`r:${stage.user}:r3`, { event: 'delta', payload: { ...base, offset, text } });
  try {
    const stream = await stage.open('?room=request_r3');
    write(fanout, 0, 'One ');
    await stream.first('delta');
    await redis.ping();
    write(unheard, 4, 'two ');
    await redis.ping();
    await clock.advance(30_000);
    const texts = () => stream.events.items.flatMap(({ event, data }) => (event === 'delta' ? [data] : []));
    await stream.events.count(3, 'the text so far');
    write(fanout, 8, 'three');
    await stream.events.count(4, 'the rest');
    expect(texts()).toEqual([
      { ...base, offset: 0, text: 'One ' },
      { ...base, offset: 0, text: 'One two ' },
      { ...base, offset: 8, text: 'three' },
    ]);
  } finally {
    redis.disconnect();
    await stage.stop();
  }
});
