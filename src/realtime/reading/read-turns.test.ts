import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { RawWebSocket } from '../../../test/support/engine.js';
import { ManualClock } from '../../../test/support/manual-clock.js';
import { RealtimeStage, silent, tokens, userNames } from '../../../test/support/realtime.js';
import { eventually, nextEvent } from '../../../test/support/signals.js';
import { createDatabase, type Database } from '../../platform/database.js';
import { NotificationLog, type ReplayWant, type RoomPage } from '../log/postgres-log.js';
import { ReadTurns } from './read-turns.js';
import { bufferedBytes } from '../sockets/slow-consumers.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('reads of one socket', () => {
  const begun: number[] = [];
  let gates: PromiseWithResolvers<void>[];
  let isFull: boolean;
  let clock: ManualClock;
  let turns: ReadTurns;
  beforeEach(() => {
    begun.splice(0);
    gates = Array.from({ length: 7 }, () => Promise.withResolvers<void>());
    isFull = false;
    clock = new ManualClock();
    turns = new ReadTurns({ clock, isFull: () => isFull });
  });
  const readAll = () =>
    gates.map(({ promise }, n) =>
      turns.take(async () => {
        begun.push(n);
        await promise;
        return n;
      }),
    );

  test('are four at once, and the others follow in order', async () => {
    const all = readAll();
    await turn();
    expect(begun).toEqual([0, 1, 2, 3]);
    gates[2]?.resolve();
    await all[2];
    await turn();
    expect(begun).toEqual([0, 1, 2, 3, 4]);
    for (const { resolve } of gates) resolve();
    expect(await Promise.all(all)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  test('that fail give their turn to the next', async () => {
    const all = readAll();
    const failed = Promise.allSettled(all);
    for (const { promise, reject } of gates) {
      promise.catch(() => undefined);
      reject(new Error('away'));
    }
    expect(new Set((await failed).map(({ status }) => status))).toEqual(new Set(['rejected']));
    expect(begun).toHaveLength(7);
  });

  test('wait while too much waits unsent, and go on when it does not', async () => {
    isFull = true;
    for (const { resolve } of gates) resolve();
    const all = readAll();
    await clock.advance(10_000);
    expect(begun).toEqual([]);
    isFull = false;
    await clock.advance(50);
    await Promise.all(all);
    expect(begun).toHaveLength(7);
  });

  test('that wait when it ends are not done', async () => {
    const all = readAll();
    await turn();
    turns.close();
    for (const { resolve } of gates) resolve();
    expect(await Promise.all(all)).toEqual([0, 1, 2, 3, undefined, undefined, undefined]);
    expect(await turns.take(() => Promise.resolve(8))).toBeUndefined();
  });
});

describe('a socket that subscribes a hundred times', () => {
  class CountedLog extends NotificationLog {
    replays = 0;
    now = 0;
    most = 0;
    /** Bytes that waited unsent when a read began, at most. */
    unsent = 0;

    override async replay(want: ReplayWant): Promise<RoomPage | undefined> {
      this.replays++;
      this.most = Math.max(this.most, ++this.now);
      for (const { conn } of stage.node.server.io.sockets.sockets.values())
        this.unsent = Math.max(this.unsent, bufferedBytes(conn));
      const page = await super.replay(want);
      this.now--;
      return page;
    }
  }

  let testDatabase: TestDatabase;
  let database: Database;
  let stage: RealtimeStage;
  let log: CountedLog;
  beforeAll(async () => {
    testDatabase = await createTestDatabase();
    const { url } = testDatabase;
    const options = { url, poolMin: 0, poolMax: 5, idleTimeoutMs: 10_000, queryTimeoutMs: 10_000 };
    database = createDatabase(url, options, silent);
    stage = new RealtimeStage(url);
  });
  afterAll(async () => {
    await database.close();
    await testDatabase.drop();
  });
  beforeEach(async () => {
    log = new CountedLog(database);
    await stage.start('local', { server: { log, limits: { bufferBytes: 65_536 } } });
  });
  afterEach(() => stage.close());

  const newUser = userNames('turns');
  const since = { epoch: null, seq: 0 };
  const sayOneMegabyte = (userId: string) =>
    log.append({ type: 'test.said', status: 'success', data: 'x'.repeat(1_000_000), userId });

  test('at once is answered each time, four reads at a time', async () => {
    const userId = newUser();
    const client = await stage.connect(userId);
    const asked = Array.from({ length: 100 }, () => client.subscribe({ room: `user_${userId}`, since }));
    expect((await Promise.all(asked)).every(({ recovered }) => recovered)).toBe(true);
    expect([log.replays, log.most]).toEqual([100, 4]);
  });

  test('and leaves a room in between is not in it', async () => {
    const client = await stage.connect(newUser());
    const asked = Array.from({ length: 20 }, (_, n) => client.subscribe({ room: `request_${n}` }));
    const left = client.ask('unsubscribe', { room: 'request_19' });
    await Promise.all([...asked, left]);
    const [socket] = stage.node.server.io.sockets.sockets.values();
    expect([...(socket?.rooms ?? [])].filter((room) => room.endsWith(':19'))).toEqual([]);
    expect(socket?.rooms.size).toBe(2 + 19);
  });

  test('and takes no answer gets no more read, and is cut', async () => {
    const userId = newUser();
    await sayOneMegabyte(userId);
    const slow = await RawWebSocket.connect(stage.node.url, {
      token: await tokens.mint(userId, { expiresInSeconds: 60 }),
    });
    const gone = nextEvent(slow.tcp, 'close');
    for (let n = 0; n < 100; n++)
      slow.send(`42${n}["subscribe",{"room":"user_${userId}","since":{"epoch":null,"seq":0}}]`);
    await eventually(
      async () => (await stage.node.metrics.websocketSlowConsumers.get()).values[0]?.value === 1 || undefined,
      'the socket to be cut',
    );
    expect(log.unsent).toBeLessThanOrEqual(65_536);
    slow.tcp.resume();
    await gone;
  });
});
