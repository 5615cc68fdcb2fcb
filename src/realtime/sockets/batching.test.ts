import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { RealtimeStage, tokens, userNames, type ConnectedClient } from '../../../test/support/realtime.js';
import { Collected, nextEvent } from '../../../test/support/signals.js';
import type { WireNotification } from '../contract.js';
import { roomKey, userRoom } from '../rooms.js';

let database: TestDatabase;
let stage: RealtimeStage;
beforeAll(async () => {
  database = await createTestDatabase();
  stage = new RealtimeStage(database.url);
});
afterAll(() => database.drop());

const newUser = userNames('batching');

interface Heard {
  readonly event: string;
  readonly payload: unknown;
}

/** Notifications as they came, alone and in batches, and the frames that they came in. */
class Listener {
  readonly heard = new Collected<Heard>();
  readonly #client: ConnectedClient;

  private constructor(client: ConnectedClient) {
    this.#client = client;
    client.socket.onAny((event: string, payload: unknown) => this.heard.add({ event, payload }));
  }

  static async connect(userId: string, batch: boolean): Promise<Listener> {
    const token = await tokens.mint(userId, { expiresInSeconds: 60 });
    const listener = new Listener(stage.open({ token, batch }));
    await nextEvent(listener.#client.socket as never, 'connect');
    await listener.heard.first(({ event }) => event === 'ready', 'ready');
    return listener;
  }

  get client() {
    return this.#client;
  }

  get frames(): Heard[] {
    return this.heard.items.filter(({ event }) => event.startsWith('notification'));
  }

  get notifications(): WireNotification[] {
    return this.frames.flatMap(({ payload }) => payload as WireNotification | WireNotification[]);
  }

  async hears(seq: number): Promise<void> {
    await this.heard.first(() => this.notifications.some((each) => each.seq === seq), `seq ${seq}`);
  }
}

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

async function burst(userId: string, count: number, requestId?: string): Promise<void> {
  const draft = {
    type: 'test.said',
    status: 'success' as const,
    userId,
    ...(requestId !== undefined && { requestId }),
  };
  const entries = await Promise.all(
    upTo(count).map((n) => stage.node.log.append({ ...draft, data: { n, text: '"ü\u2028]' } })),
  );
  stage.node.publisher.publish(entries.flat());
}

describe.each(['redis', 'local'] as const)('a burst, %s', (mode) => {
  beforeEach(() => stage.start(mode));
  afterEach(() => stage.close());

  test('of a hundred is a few frames for who understands it, a hundred for others, and the same for both', async () => {
    const userId = newUser();
    const [batching, plain] = [await Listener.connect(userId, true), await Listener.connect(userId, false)];
    await burst(userId, 100);
    await Promise.all([batching.hears(100), plain.hears(100)]);
    expect(plain.frames).toHaveLength(100);
    expect(batching.frames.length).toBeLessThanOrEqual(10);
    expect(batching.frames.some(({ event }) => event === 'notifications')).toBe(true);
    expect(plain.notifications.map(({ seq }) => seq)).toEqual(upTo(100));
    expect(batching.notifications).toEqual(plain.notifications);
  });

  test('to two rooms keeps the order of each', async () => {
    const userId = newUser();
    const listener = await Listener.connect(userId, true);
    await listener.client.subscribe({ room: 'request_r' });
    await burst(userId, 40, 'r');
    const of = (room: string) => listener.notifications.filter((each) => each.room === room).map(({ seq }) => seq);
    await listener.heard.first(
      () => of('request_r').length === 40 && of(`user_${userId}`).length === 40,
      'all of both',
    );
    expect([of('request_r'), of(`user_${userId}`)]).toEqual([upTo(40), upTo(40)]);
  });

  test('of one is a plain notification', async () => {
    const userId = newUser();
    const listener = await Listener.connect(userId, true);
    await burst(userId, 1);
    await listener.hears(1);
    expect(listener.frames.map(({ event }) => event)).toEqual(['notification']);
  });
});

describe('within one turn of the event loop', () => {
  beforeEach(() => stage.start('local', { server: { drainMs: 1_000 } }));
  afterEach(() => stage.close());

  const toRoom = (userId: string) => stage.node.server.io.to(roomKey(userRoom(userId)));
  const fake = (seq: number) => ({ seq }) as WireNotification;
  const progress = { percent: 1 } as never;

  test('what is written between notifications stays between them', async () => {
    const userId = newUser();
    const listener = await Listener.connect(userId, true);
    const [socket] = stage.node.server.io.sockets.sockets.values();
    for (const seq of [1, 2]) toRoom(userId).emit('notification', fake(seq));
    toRoom(userId).emit('delta', progress);
    toRoom(userId).emit('notification', fake(3));
    socket?.emit('check');
    for (const seq of [4, 5]) toRoom(userId).emit('notification', fake(seq));
    await listener.hears(5);
    expect(listener.heard.items.slice(1).map(({ event, payload }) => [event, payload])).toEqual([
      ['notifications', [{ seq: 1 }, { seq: 2 }]],
      ['delta', { percent: 1 }],
      ['notification', { seq: 3 }],
      ['check', undefined],
      ['notifications', [{ seq: 4 }, { seq: 5 }]],
    ]);
  });

  test('what is written before the end of the connection goes out before it', async () => {
    const userId = newUser();
    const listener = await Listener.connect(userId, true);
    for (const seq of [1, 2, 3]) toRoom(userId).emit('notification', fake(seq));
    await stage.node.server.close();
    await listener.heard.first(({ event }) => event === 'closing', 'closing');
    expect(listener.notifications.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  });

  test('a frame ends before it is too large for a client to wait for', async () => {
    const userId = newUser();
    const listener = await Listener.connect(userId, true);
    const data = 'x'.repeat(50_000);
    for (const seq of upTo(10)) toRoom(userId).emit('notification', { ...fake(seq), data });
    await listener.hears(10);
    expect(listener.frames.map(({ payload }) => [payload].flat().length)).toEqual([3, 3, 3, 1]);
  });
});
