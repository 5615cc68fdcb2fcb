import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { PollingClient } from '../../../test/support/engine.js';
import { ManualClock } from '../../../test/support/manual-clock.js';
import { RealtimeStage, tokens, userNames, type ConnectedClient } from '../../../test/support/realtime.js';
import { nextEvent } from '../../../test/support/signals.js';
import type { AcknowledgeRequest } from '../contract.js';
import { TokenBucket } from './token-bucket.js';

let database: TestDatabase;
let stage: RealtimeStage;
beforeAll(async () => {
  database = await createTestDatabase();
  stage = new RealtimeStage(database.url);
});
afterAll(() => database.drop());
beforeEach(() => stage.start('local'));
afterEach(() => stage.close());

const newUser = userNames('requests');
const tokenOf = (userId: string, expiresInSeconds = 60) => tokens.mint(userId, { expiresInSeconds });
const codes = async (asked: readonly Promise<unknown>[]) =>
  (await Promise.all(asked)).map((answer) => (answer as { code?: string }).code ?? 'ok');

async function restart(server: Parameters<RealtimeStage['start']>[1]): Promise<void> {
  await stage.close();
  await stage.start('local', server);
}

describe('a bucket', () => {
  test('has its burst, then its rate, and never more than its burst again', async () => {
    const clock = new ManualClock();
    const bucket = new TokenBucket({ burst: 3, perSecond: 10 }, clock);
    const taken = () => Array.from({ length: 5 }, () => bucket.take()).filter(Boolean).length;
    expect(taken()).toBe(3);
    await clock.advance(200);
    expect(taken()).toBe(2);
    await clock.advance(60_000);
    expect(taken()).toBe(3);
  });
});

describe('messages', () => {
  test('beyond the limit are refused and not done, and the connection lives', async () => {
    await restart({ server: { limits: { messages: { burst: 5, perSecond: 0.001 } } } });
    const client = await stage.connect(newUser());
    const rooms = Array.from({ length: 8 }, (_, n) => client.ask('subscribe', { room: `request_${n}` }));
    expect(await codes(rooms)).toEqual([...Array<string>(5).fill('ok'), ...Array<string>(3).fill('rate_limited')]);
    const [socket] = stage.node.server.io.sockets.sockets.values();
    expect(socket?.rooms.size).toBe(2 + 5);
    expect(client.socket.connected).toBe(true);
  });

  test('of a client that comes back to a hundred rooms at once are within it', async () => {
    const client = await stage.connect(newUser());
    const rooms = Array.from({ length: 100 }, (_, n) => client.ask('subscribe', { room: `request_${n}` }));
    expect(new Set(await codes(rooms))).toEqual(new Set(['ok']));
  });

  test('far beyond it end the connection, which is told why', async () => {
    await restart({ server: { limits: { messages: { burst: 5, perSecond: 0.001 } } } });
    const client = await stage.connect(newUser());
    const closing = nextEvent<unknown>(client.socket as never, 'closing');
    const reason = nextEvent<string>(client.socket as never, 'disconnect');
    for (let n = 0; n < 30; n++) client.socket.emit('ping');
    expect(await closing).toMatchObject({ code: 'rate_limited' });
    expect(await reason).toBe('transport close');
    const { values } = await stage.node.metrics.websocketDisconnects.get();
    expect(values).toMatchObject([{ labels: { reason: 'rate_limited' }, value: 1 }]);
  });

  test('far beyond it end a connection also before it has shown a token', async () => {
    await restart({ server: { limits: { messages: { burst: 5, perSecond: 0.001 } } } });
    const client = new PollingClient(stage.node.url);
    await client.open();
    await client.post(Array.from({ length: 30 }, () => '40{"token":"nonsense"}').join('\u001e'));
    expect((await client.poll()).split('\u001e')).toContain('1');
    expect(await client.post('40{}')).toBe(400);
  });

  test.each(['subscribe', 'nonsense'])('%s is counted with what became of it', async (event) => {
    const client = await stage.connect(newUser());
    await client.ask(event, { room: 'request_1' });
    const { values } = await stage.node.metrics.websocketRequests.get();
    const labels = event === 'subscribe' ? { event, outcome: 'ok' } : { event: 'unknown', outcome: 'invalid_message' };
    expect(values).toEqual([{ labels, value: 1 }]);
  });
});

describe('what is too large or malformed is the end of who sent it and harms nobody else', () => {
  const large = JSON.stringify(['subscribe', { room: 'x'.repeat(17_000) }]);

  async function connectByPolling(): Promise<PollingClient> {
    const client = new PollingClient(stage.node.url);
    await client.connect(await tokenOf(newUser()));
    return client;
  }

  test.each([
    ['a packet that is none', '4{'],
    ['a binary attachment that never comes', '451-["subscribe",{"_placeholder":true,"num":0}]'],
  ])('%s, polling', async (_what, body) => {
    const [other, client] = [await stage.connect(newUser()), await connectByPolling()];
    await client.post(body);
    await client.post('41');
    expect((await client.poll()).split('\u001e')).toContain('1');
    expect(await other.socket.emitWithAck('ping')).toMatchObject({ type: 'pong' });
  });

  test('a message over 16 KB, polling', async () => {
    const [other, client] = [await stage.connect(newUser()), await connectByPolling()];
    expect(await client.post(`42${large}`)).toBe(413);
    expect(await other.socket.emitWithAck('ping')).toMatchObject({ type: 'pong' });
  });

  test.each([
    ['a message over 16 KB', `2${large}`],
    ['a packet that is none', '{'],
    ['an event of a namespace that does not exist', '2/admin,["subscribe"]'],
  ])('%s, websocket', async (_what, packet) => {
    const [other, client] = [await stage.connect(newUser()), await stage.connect(newUser())];
    const reason = nextEvent<string>(client.socket as never, 'disconnect');
    client.socket.io.engine.write(packet);
    expect(await reason).toMatch(/^transport/);
    expect(await other.socket.emitWithAck('ping')).toMatchObject({ type: 'pong' });
  });
});

describe('a newer token', () => {
  const authenticate = (client: ConnectedClient, token: unknown) => client.ask('authenticate', { token });

  test('of the same user moves the end of the connection', async () => {
    const clock = new ManualClock(Date.now());
    await restart({ clock });
    const userId = newUser();
    const client = stage.open({ token: await tokenOf(userId, 60) });
    await nextEvent(client.socket as never, 'connect');
    const closing = nextEvent<unknown>(client.socket as never, 'closing');
    const answer = (await authenticate(client, await tokenOf(userId, 120))) as unknown as { expiresAt: string };
    expect(answer).toMatchObject({ ok: true });
    expect(Math.abs(Date.parse(answer.expiresAt) - clock.now() - 120_000)).toBeLessThan(5_000);
    await clock.advance(100_000);
    expect(await client.socket.emitWithAck('ping')).toMatchObject({ type: 'pong' });
    await clock.advance(30_000);
    expect(await closing).toMatchObject({ code: 'token_expired' });
  });

  test('may also end earlier', async () => {
    const clock = new ManualClock(Date.now());
    await restart({ clock });
    const userId = newUser();
    const client = stage.open({ token: await tokenOf(userId, 600) });
    await nextEvent(client.socket as never, 'connect');
    const closing = nextEvent<unknown>(client.socket as never, 'closing');
    await authenticate(client, await tokenOf(userId, 10));
    await clock.advance(20_000);
    expect(await closing).toMatchObject({ code: 'token_expired' });
  });

  test('of another user is forbidden, and the connection stays who it was', async () => {
    const [ada, bob] = [newUser(), newUser()];
    const client = await stage.connect(ada);
    expect(await authenticate(client, await tokenOf(bob))).toMatchObject({ ok: false, code: 'forbidden' });
    expect(await client.ask('subscribe', { room: `user_${bob}` })).toMatchObject({ code: 'forbidden' });
    expect(await client.ask('subscribe', { room: `user_${ada}` })).toMatchObject({ ok: true });
  });

  test.each([
    ['nonsense', 'token_invalid'],
    ['', 'invalid_message'],
    [7, 'invalid_message'],
    ['x'.repeat(9_000), 'invalid_message'],
  ])('that is %p is refused and changes nothing', async (token, code) => {
    const client = await stage.connect(newUser());
    expect(await authenticate(client, token)).toMatchObject({ ok: false, code });
    expect(await client.socket.emitWithAck('ping')).toMatchObject({ type: 'pong' });
  });

  test('that is past its end is refused', async () => {
    const userId = newUser();
    const client = await stage.connect(userId);
    expect(await authenticate(client, await tokenOf(userId, -10))).toMatchObject({ code: 'token_expired' });
  });
});

describe('an acknowledgement', () => {
  const epoch = '0190a000-0000-7000-8000-000000000001';
  let noted: [string, AcknowledgeRequest][];
  beforeEach(async () => {
    noted = [];
    const note = (room: string, request: AcknowledgeRequest) => void noted.push([room, request]);
    await restart({ server: { acknowledgements: { note } } });
  });

  test('of one’s own room is noted under its inside key, with or without an answer', async () => {
    const client = await stage.connect('ada');
    const request = { room: 'request_a', epoch, delivered: 3, seen: 2 };
    expect(await client.ask('acknowledge', request)).toEqual({ ok: true });
    client.socket.emit('acknowledge', { room: 'user_ada', epoch, delivered: 1 });
    await client.socket.emitWithAck('ping');
    expect(noted).toEqual([
      ['r:ada:a', request],
      ['u:ada', { room: 'user_ada', epoch, delivered: 1 }],
    ]);
  });

  test.each([
    [{ room: 'user_bob', epoch, delivered: 1 }, 'forbidden'],
    [{ room: 'elsewhere', epoch, delivered: 1 }, 'invalid_room'],
    [{ room: 'request_a', epoch: 'x', delivered: 1 }, 'invalid_message'],
    [{ room: 'request_a', epoch, delivered: -1 }, 'invalid_message'],
    [undefined, 'invalid_message'],
  ])('%j is refused', async (request, code) => {
    const client = await stage.connect('ada');
    expect(await client.ask('acknowledge', request)).toMatchObject({ ok: false, code });
    expect(noted).toEqual([]);
  });
});
