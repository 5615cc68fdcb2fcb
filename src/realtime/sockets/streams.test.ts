import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { RealtimeStage, userNames, type ConnectedClient } from '../../../test/support/realtime.js';
import { createRedisPrefix } from '../../../test/support/redis.js';
import { Collected } from '../../../test/support/signals.js';
import { newId } from '../../platform/ids.js';
import type { WireDelta } from '../contract.js';
import { requestRoom, roomKey } from '../rooms.js';

let database: TestDatabase;
let stage: RealtimeStage;
beforeAll(async () => {
  database = await createTestDatabase();
  stage = new RealtimeStage(database.url);
});
afterAll(() => database.drop());

const newUser = userNames('streams');

describe.each(['redis', 'local'] as const)('streamed text, %s', (mode) => {
  let userId: string;
  let eventId: string;
  let client: ConnectedClient;
  let heard: Collected<WireDelta>;

  beforeEach(async () => {
    await stage.start(mode, { prefix: createRedisPrefix() });
    [userId, eventId] = [newUser(), newId()];
    client = await stage.connect(userId);
    heard = new Collected();
    client.socket.on('delta', heard.add);
    await client.subscribe({ room: 'request_r' });
  });
  afterEach(() => stage.close());

  const write = (offset: number, text: string, more: { attempt?: number; eventId?: string } = {}): void => {
    const payload = { room: 'request_r', requestId: 'r', eventId, attempt: 1, offset, text, ...more };
    stage.node.backplane.fanout.ephemeral(roomKey(requestRoom(userId, 'r')), { event: 'delta', payload });
  };
  const arrived = (count: number) => heard.count(count, 'pieces');
  /** What a client that comes now gets. */
  async function soFar() {
    const late = await stage.connect(userId);
    const { streams = [] } = await late.subscribe({ room: 'request_r', since: { epoch: null, seq: 0 } });
    return streams;
  }
  const texts = async () => (await soFar()).map(({ attempt, text }) => `${attempt} ${text}`);

  test('who comes in the middle gets the text so far, from offset 0, and what follows it live', async () => {
    write(0, 'Grüße ');
    write(6, '🗒 an ');
    await arrived(2);
    const late = await stage.connect(userId);
    const live = new Collected<WireDelta>();
    late.socket.on('delta', live.add);
    const { streams } = await late.subscribe({ room: 'request_r' });
    const base = { room: 'request_r', requestId: 'r', eventId, attempt: 1 };
    expect(streams).toEqual([{ ...base, offset: 0, text: 'Grüße 🗒 an ' }]);
    write(12, 'alle');
    expect(await live.count(1, 'piece')).toEqual([{ ...base, offset: 12, text: 'alle' }]);
    expect(streams?.[0]?.text.length).toBe(12);
  });

  test('a piece that is given again is neither sent nor added again', async () => {
    write(0, 'one ');
    write(4, 'two ');
    write(4, 'two ');
    write(0, 'one ');
    write(8, 'three');
    await arrived(3);
    expect(heard.items.map(({ text }) => text)).toEqual(['one ', 'two ', 'three']);
    expect(await texts()).toEqual(['1 one two three']);
  });

  test('a newer attempt starts over, and the older one is heard no more', async () => {
    write(0, 'first try');
    write(0, 'second ', { attempt: 2 });
    write(9, ', still going');
    write(7, 'try', { attempt: 2 });
    await arrived(3);
    expect(heard.items.map(({ text }) => text)).toEqual(['first try', 'second ', 'try']);
    expect(await texts()).toEqual(['2 second try']);
  });

  test('a text with a hole is not kept, also not what follows, but it is heard', async () => {
    write(0, 'one ');
    write(8, 'three ');
    write(14, 'four');
    await arrived(3);
    expect(await texts()).toEqual([]);
    write(0, 'again', { attempt: 2 });
    await arrived(4);
    expect(await texts()).toEqual(['2 again']);
  });

  test('a text whose beginning is unknown is not kept, and takes no place', async () => {
    write(4, 'two ');
    write(3, 'x', { attempt: 2 });
    for (let n = 0; n < 20; n++) write(1, 'late', { eventId: newId() });
    await arrived(22);
    expect(await texts()).toEqual([]);
    write(0, 'new', { eventId: newId() });
    await arrived(23);
    expect(await texts()).toEqual(['1 new']);
  });

  test('the notification that ends the event takes the text away, one that does not leaves it', async () => {
    const say = async (status: 'pending' | 'success', of = eventId) => {
      const draft = { type: 't', status, data: {}, userId, requestId: 'r', eventId: of };
      stage.node.publisher.publish(await stage.node.log.append(draft));
      await stage.node.publisher.drain();
    };
    write(0, 'text');
    await arrived(1);
    await say('pending');
    await say('success', newId());
    expect(await texts()).toEqual(['1 text']);
    await say('success');
    expect(await texts()).toEqual([]);
    // The next text of another event in this room is none of the old one's business.
    write(0, 'new', { eventId: newId() });
    await arrived(2);
    expect(await texts()).toEqual(['1 new']);
  });

  test('texts are bounded in length and in number', async () => {
    const part = 'ü'.repeat(60_000);
    for (let n = 0; n < 3; n++) write(n * 60_000, part);
    await arrived(3);
    // 360,000 bytes as UTF-8.
    expect(await texts()).toEqual([]);
    for (let n = 0; n < 25; n++) write(0, `${n}`, { eventId: newId() });
    await arrived(28);
    expect(await soFar()).toHaveLength(19);
  });

  test('a text is its request’s alone', async () => {
    write(0, 'mine');
    await arrived(1);
    const eve = await stage.connect(newUser());
    expect((await eve.subscribe({ room: 'request_r' })).streams).toBeUndefined();
  });
});
