import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { PollingClient, RawWebSocket } from '../../../test/support/engine.js';
import { RealtimeStage, silent, tokens, userNames } from '../../../test/support/realtime.js';
import { eventually, nextEvent } from '../../../test/support/signals.js';
import { createMetrics } from '../../platform/metrics.js';
import type { WireNotification } from '../contract.js';
import type { RealtimeIo } from '../io.js';
import { roomKey, userRoom } from '../rooms.js';
import { SlowConsumers } from './slow-consumers.js';

const newUser = userNames('slow');
const bufferBytes = 65_536;

describe('who does not read', () => {
  let database: TestDatabase;
  let stage: RealtimeStage;
  beforeAll(async () => {
    database = await createTestDatabase();
    stage = new RealtimeStage(database.url);
  });
  afterAll(() => database.drop());
  beforeEach(() => stage.start('local', { server: { limits: { bufferBytes } } }));
  afterEach(() => stage.close());

  const token = (userId: string) => tokens.mint(userId, { expiresInSeconds: 60 });
  const valueOf = async (metric: 'websocketSlowConsumers' | 'websocketBufferedBytes' | 'websocketConnections') =>
    (await stage.node.metrics[metric].get()).values[0]?.value;
  /** More than the kernel takes for a connection that is not read. */
  function flood(userId: string, megabytes: number): void {
    const data = 'x'.repeat(1_000_000);
    for (let n = 0; n < megabytes; n++) {
      stage.node.server.io.to(roomKey(userRoom(userId))).emit('notification', { data } as unknown as WireNotification);
    }
  }

  test('a WebSocket is cut, others of the same room are not, and coming back heals it', async () => {
    const userId = newUser();
    const reader = await stage.connect(userId);
    const slow = await RawWebSocket.connect(stage.node.url, { token: await token(userId) });
    await stage.sayMany(userId, 3);
    flood(userId, 20);
    await eventually(
      async () => ((await valueOf('websocketBufferedBytes')) ?? 0) > bufferBytes || undefined,
      'bytes to be waiting',
    );
    await eventually(
      async () => (await valueOf('websocketSlowConsumers')) === 1 || undefined,
      'websocketSlowConsumers to be 1',
    );
    const closed = nextEvent(slow.tcp, 'close');
    slow.tcp.resume();
    await closed;
    await reader.heard.count(23, 'notifications');
    expect([reader.socket.connected, await valueOf('websocketConnections')]).toEqual([true, 1]);
    const { values } = await stage.node.metrics.websocketDisconnects.get();
    expect(values).toMatchObject([{ labels: { reason: 'slow_consumer' }, value: 1 }]);
    const again = await stage.connect(userId);
    const { notifications } = await again.subscribe({ room: `user_${userId}`, since: { epoch: null, seq: 0 } });
    expect(notifications.map(({ seq }) => seq)).toEqual([1, 2, 3]);
    await eventually(
      async () => (await valueOf('websocketBufferedBytes')) === 0 || undefined,
      'websocketBufferedBytes to be 0',
    );
  });

  test('a client by polling that polls no more is cut', async () => {
    const userId = newUser();
    const client = new PollingClient(stage.node.url);
    await client.connect(await token(userId));
    flood(userId, 1);
    await eventually(
      async () => (await valueOf('websocketSlowConsumers')) === 1 || undefined,
      'websocketSlowConsumers to be 1',
    );
    expect(await client.post('40{}')).toBe(400);
  });
});

describe('a check', () => {
  const megabyte = 1_048_576;

  /** What a socket has waiting, check by check, and whether it is cut at the end. */
  function isCutAfter(...waiting: number[]): boolean {
    let isCut = false;
    const transport = { socket: { bufferedAmount: 0, terminate: () => (isCut = true) } };
    const conn = { writeBuffer: [], transport, close: () => undefined };
    const socket = { conn, data: { identity: { userId: 'ada' } } };
    const io = { sockets: { sockets: new Map([['one', socket]]) } } as unknown as RealtimeIo;
    const slow = new SlowConsumers({ io, bufferBytes: megabyte, metrics: createMetrics('t_'), logger: silent });
    for (const megabytes of waiting) {
      transport.socket.bufferedAmount = megabytes * megabyte;
      slow.check();
    }
    return isCut;
  }

  test.each<[string, boolean, number[]]>([
    ['within the bound', false, [1, 1, 1, 1]],
    ['over it for a moment', false, [7, 0, 7, 0]],
    ['over it and being read', false, [8, 7, 6, 2]],
    ['over it and standing still', true, [2, 2]],
    ['over it and growing', true, [2, 3]],
    ['over it, read for a while, and then not', true, [7, 6, 6]],
    ['over eight times it, for a moment', true, [9]],
    ['over eight times it and being read', true, [8, 7, 9, 8]],
  ])('finds who is %s: cut %p', (_what, isCut, waiting) => {
    expect(isCutAfter(...waiting)).toBe(isCut);
  });
});
