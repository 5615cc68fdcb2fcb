import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { SignJWT } from 'jose';
import type { Socket } from 'socket.io-client';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { RealtimeStage, tokens, userNames, type ConnectedClient } from '../../../test/support/realtime.js';
import { nextEvent, within } from '../../../test/support/signals.js';

let database: TestDatabase;
let stage: RealtimeStage;
beforeAll(async () => {
  database = await createTestDatabase();
  stage = new RealtimeStage(database.url);
});
afterAll(() => database.drop());

const newUser = userNames('server');

const refusal = async (client: ConnectedClient) => {
  const error = await nextEvent<Error & { data?: unknown }>(client.socket as never, 'connect_error');
  return { message: error.message, data: error.data };
};

describe.each(['redis', 'local'] as const)('the server, %s', (mode) => {
  beforeEach(() => stage.start(mode));
  afterEach(() => stage.close());

  describe('who may connect', () => {
    const sign = (secret: string, claims: object, expires = '1h') =>
      new SignJWT({ ...claims })
        .setProtectedHeader({ alg: 'HS256' })
        .setExpirationTime(expires)
        .sign(new TextEncoder().encode(secret));
    const right = 'a secret that is only used in tests, 32+';

    const given = (token?: unknown): Promise<unknown> => Promise.resolve(token);
    const foreign = 'another secret that nobody knows, 32+';

    const signUntil = (exp: number) =>
      new SignJWT({ sub: 'ada', exp }).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(right));

    test.each<[string, () => Promise<unknown>, string]>([
      ['no token', () => given(), 'unauthenticated'],
      ['an empty token', () => given(''), 'unauthenticated'],
      ['a token that is no text', () => given({ sub: 'ada' }), 'unauthenticated'],
      ['garbage', () => given('garbage'), 'token_invalid'],
      ['another secret', () => sign(foreign, { sub: 'ada' }), 'token_invalid'],
      ['alg none', () => given(`${btoa('{"alg":"none"}')}.${btoa('{"sub":"ada"}')}.`), 'token_invalid'],
      ['an end in milliseconds', () => signUntil(Date.now()), 'token_invalid'],
      ['an end that no date can say', () => signUntil(9_999_999_999_999), 'token_invalid'],
      ['no sub', () => sign(right, {}), 'token_invalid'],
      ['an expired token', () => sign(right, { sub: 'ada' }, '-1s'), 'token_expired'],
    ])('%s is refused', async (_name, token, code) => {
      const { message, data } = await refusal(stage.open({ token: await token() }));
      expect(data).toEqual({ code, message });
      expect(message).not.toBe('');
    });

    test('a valid token in the Authorization header is as good', async () => {
      const token = await tokens.mint(newUser(), { expiresInSeconds: 60 });
      const client = stage.open({});
      client.socket.disconnect();
      client.socket.io.opts.extraHeaders = { Authorization: `Bearer ${token}` };
      client.socket.io.opts.transports = ['websocket'];
      client.socket.connect();
      await nextEvent(client.socket as never, 'connect');
      expect(client.socket.connected).toBe(true);
    });

    test('a connection ends with its token, and is told why', async () => {
      const client = stage.open({ token: await tokens.mint(newUser(), { expiresInSeconds: 1 }) });
      const closing = nextEvent<unknown>(client.socket as never, 'closing');
      const reason = nextEvent<string>(client.socket as never, 'disconnect');
      await nextEvent(client.socket as never, 'connect');
      expect(await closing).toEqual({ code: 'token_expired', message: 'The token has expired' });
      expect(await reason).toBe('transport close');
      expect((await refusal(client)).data).toMatchObject({ code: 'token_expired' });
    });
  });

  describe('what it does not understand', () => {
    test.each([
      ['subscribe', undefined],
      ['subscribe', 'user_x'],
      ['subscribe', { room: 5 }],
      ['subscribe', { room: 'x'.repeat(500) }],
      ['subscribe', { room: 'request_a', since: 'now' }],
      ['subscribe', { room: 'request_a', since: { epoch: 'x', seq: 1 } }],
      ['subscribe', { room: 'request_a', since: { epoch: null, seq: -1 } }],
      ['subscribe', { room: 'request_a', since: { epoch: null, seq: 1e300 } }],
      ['unsubscribe', null],
      ['publish', { room: 'request_a' }],
      ['error', 'boom'],
      ['constructor', {}],
    ])('%s %j is answered with invalid_message', async (event, message) => {
      const client = await stage.connect(newUser());
      expect(await client.ask(event, message)).toMatchObject({
        ok: false,
        code: 'invalid_message',
        message: expect.any(String),
      });
    });

    test('messages without acknowledgement, or of any other shape, leave the connection as it was', async () => {
      const client = await stage.connect(newUser());
      const raw = client.socket as Socket;
      raw.emit('subscribe');
      raw.emit('subscribe', { room: 'user_other' });
      raw.emit('unknown', 1, 2, 3);
      raw.emit('ping', 'not a function');
      raw.emit('error', new Error('x'));
      client.socket.io.engine.write('not a packet at all');
      raw.once('disconnect', () => undefined);
      // A malformed packet costs its sender the connection and nobody else anything.
      const other = await stage.connect(newUser());
      expect(await within(other.socket.emitWithAck('ping'), 'a pong')).toMatchObject({ type: 'pong' });
    });

    test('a message over 16 KB closes the connection', async () => {
      const client = await stage.connect(newUser());
      const closed = nextEvent<string>(client.socket as never, 'disconnect');
      (client.socket as Socket).emit('subscribe', { room: 'x'.repeat(20_000) });
      expect(await closed).toMatch(/^transport/);
    });
  });

  test('a socket may be in so many rooms and no more', async () => {
    await stage.close();
    await stage.start(mode, { server: { limits: { subscriptions: 3 } } });
    const client = await stage.connect(newUser());
    for (const n of [1, 2, 3, 3]) await client.subscribe({ room: `request_${n}` });
    expect(await client.ask('subscribe', { room: 'request_4' })).toMatchObject({
      ok: false,
      code: 'too_many_subscriptions',
    });
    await client.ask('unsubscribe', { room: 'request_1' });
    expect(await client.ask('subscribe', { room: 'request_4' })).toMatchObject({ ok: true });
  });

  test('closing ends the transports, so that clients try again by themselves, and lets no new one in', async () => {
    const client = await stage.connect(newUser());
    const reason = nextEvent<string>(client.socket as never, 'disconnect');
    await stage.node.server.close();
    expect(await reason).toBe('transport close');
    expect(client.socket.active).toBe(true);
    await refusal(client);
    const polling = await fetch(`${stage.node.url}/socket.io/?EIO=4&transport=polling`);
    expect(polling.status).toBe(403);
    expect((await stage.node.metrics.websocketConnections.get()).values[0]?.value).toBe(0);
  });

  test('the page’s client is served, and an allowed origin may read polling answers', async () => {
    const script = await fetch(`${stage.node.url}/socket.io/socket.io.esm.min.js`);
    expect([script.status, script.headers.get('content-type')]).toEqual([200, 'application/javascript; charset=utf-8']);
    await script.text();
    const origin = async (value: string) => {
      const response = await fetch(`${stage.node.url}/socket.io/?EIO=4&transport=polling`, {
        headers: { Origin: value },
      });
      await response.text();
      return [
        response.headers.get('access-control-allow-origin'),
        response.headers.get('access-control-allow-credentials'),
      ];
    };
    expect(await origin('http://localhost:5173')).toEqual(['http://localhost:5173', 'true']);
    expect((await origin('http://evil.example'))[0]).toBeNull();
  });
});
