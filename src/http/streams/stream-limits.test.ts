import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { openStream } from '../../../test/support/event-source.js';
import { ManualClock } from '../../../test/support/manual-clock.js';
import { tokens } from '../../../test/support/realtime.js';
import { eventually, nextEvent, within } from '../../../test/support/signals.js';
import { newUser, StreamStage } from '../../../test/support/stream-stage.js';
import { createTokens } from '../../platform/tokens.js';

let stage: StreamStage;
beforeAll(async () => {
  stage = await StreamStage.create();
});
afterAll(() => stage.database.drop());

beforeEach(() => stage.start('local'));
afterEach(() => stage.stop());

test('a stream has a comment every 15 s, so that no proxy takes it for dead', async () => {
  const clock = new ManualClock(Date.now());
  await stage.serve({ clock });
  const stream = await stage.open();
  await clock.advance(45_000);
  await stream.comments.count(3, 'heartbeats');
  expect(stream.comments.items).toEqual([': heartbeat', ': heartbeat', ': heartbeat']);
});

test('a stream ends with its token, and says so', async () => {
  const clock = new ManualClock(Date.now());
  await stage.serve({ clock });
  const stream = await stage.open();
  await clock.advance(601_000);
  expect(await stream.first('closing')).toEqual({ code: 'token_expired', message: 'The token has expired' });
  await stream.ended;
  expect(await stage.metric('synap_event_streams_closed_total', { reason: 'token_expired' })).toBe(1);
});

test('a stream ends when the process stops, says so, and nothing is missed elsewhere', async () => {
  const stream = await stage.open();
  await stream.first('ready');
  await stage.say(1);
  await stream.hears(1);
  await stage.server.streams.close();
  expect(await stream.first('closing')).toMatchObject({ code: 'draining' });
  await stream.ended;
  const refused = await stage.open();
  expect(refused.response.status).toBe(503);
  expect(refused.response.headers.get('retry-after')).toBe('1');
  await stage.serve();
  await stage.say(2);
  const next = await stage.open('', { 'Last-Event-ID': stream.lastId() ?? '' });
  await next.hears(2);
  expect(next.seqs()).toEqual([2]);
});

test('a stream of a client that stops reading is cut, and its client has all when it comes back', async () => {
  await stage.serve({ limits: { bufferBytes: 100_000 } });
  const token = await tokens.mint(stage.user, { expiresInSeconds: 60 });
  const socket = connect(Number(new URL(stage.server.url).port), '127.0.0.1');
  socket.write(`GET /v1/notifications/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  await within(new Promise((resolve) => socket.once('data', resolve)), 'the stream to begin');
  socket.pause();
  const cut = async () =>
    (await stage.metric('synap_event_streams_closed_total', { reason: 'slow_consumer' })) === 1 ? true : undefined;
  const text = 'x'.repeat(100_000);
  let said = 0;
  await eventually(async () => {
    const draft = { type: 'test.said', status: 'success' as const, data: { text }, userId: stage.user };
    for (let n = 0; n < 10; n++) stage.node.publisher.publish(await stage.node.log.append(draft));
    said += 10;
    return cut();
  }, 'the slow client to be cut');
  socket.destroy();
  const back = await stage.open('', { 'Last-Event-ID': 'null.0' });
  await back.hears(said);
  expect(back.seqs()).toHaveLength(said);
});

test('a stream is counted while it is open, and a user has so many of them', async () => {
  const streams = [await stage.open(), await stage.open(), await stage.open()];
  expect(await stage.metric('synap_event_streams_active')).toBe(3);
  const refused = await stage.open();
  expect(refused.response.status).toBe(429);
  expect((await stage.open('', {}, newUser())).response.status).toBe(200);
  streams[0]?.stop();
  await eventually(
    async () => ((await stage.open()).response.status === 200 ? true : undefined),
    'a place to come free',
  );
});

describe('streams and sockets count together', () => {
  const connected = async (as: string) => {
    const client = stage.realtime.open({ token: await tokens.mint(as, { expiresInSeconds: 60 }) });
    return Promise.race([
      nextEvent(client.socket as never, 'connect').then(() => 'connected'),
      nextEvent<{ data?: { code: string }; message: string }>(client.socket as never, 'connect_error').then(
        ({ data, message }) => data?.code ?? message,
      ),
    ]);
  };
  const restart = async (limits: { perUser?: number; perAddress?: number }) => {
    await stage.stop();
    await stage.realtime.start('local', { server: { limits } });
    const { users, addresses } = stage.node.server;
    await stage.serve({ places: { users, addresses } });
  };
  const open = async (as: string) => (await stage.open('', {}, as)).response.status;

  test('of a user', async () => {
    await restart({ perUser: 2 });
    const [ada, bob] = [newUser(), newUser()];
    expect([await open(ada), await connected(ada)]).toEqual([200, 'connected']);
    expect([await open(ada), await connected(ada)]).toEqual([429, 'too_many_connections']);
    expect([await open(bob), await connected(bob)]).toEqual([200, 'connected']);
  });

  test('of an address, whosever they are, and a refused one takes no place', async () => {
    await restart({ perUser: 1, perAddress: 3 });
    const [ada, bob, eve] = [newUser(), newUser(), newUser()];
    expect([await open(ada), await connected(bob)]).toEqual([200, 'connected']);
    expect([await open(ada), await open(ada), await open(bob)]).toEqual([429, 429, 429]);
    const last = await stage.open('', {}, eve);
    expect([last.response.status, await open(newUser())]).toEqual([200, 429]);
    expect(await connected(newUser())).not.toBe('connected');
    last.stop();
    await eventually(async () => (await open(eve)) === 200 || undefined, 'the place to come free');
  });
});

test('a stream refuses who has no valid token, and rooms of others', async () => {
  const at = (query: string, headers = {}) => fetch(`${stage.server.url}/v1/notifications/stream${query}`, { headers });
  const outcome = async (response: Response) => [response.status, ((await response.json()) as { code: string }).code];
  const right = 'a secret that is only used in tests, 32+';
  const expired = await createTokens(right, () => Date.now() - 3_600_000).mint(stage.user, { expiresInSeconds: 60 });
  const foreign = await createTokens('another secret that nobody knows, 32+').mint(stage.user, {
    expiresInSeconds: 60,
  });
  const token = await tokens.mint(stage.user, { expiresInSeconds: 60 });
  const bearer = (given: string) => ({ Authorization: `Bearer ${given}` });
  const unsigned = `${btoa('{"alg":"none"}')}.${btoa(`{"sub":"${stage.user}"}`)}.`;
  expect(await outcome(await at(''))).toEqual([401, 'unauthenticated']);
  expect(await outcome(await at('', { 'X-API-Key': 'whatever' }))).toEqual([401, 'unauthenticated']);
  expect(await outcome(await at('?access_token='))).toEqual([401, 'unauthenticated']);
  expect(await outcome(await at(`?access_token=${foreign}`))).toEqual([401, 'token_invalid']);
  expect(await outcome(await at('', bearer(expired)))).toEqual([401, 'token_expired']);
  expect(await outcome(await at('', bearer(unsigned)))).toEqual([401, 'token_invalid']);
  expect(await outcome(await at('?room=user_somebody', bearer(token)))).toEqual([403, 'forbidden']);
  expect(await outcome(await at('?room=everyone', bearer(token)))).toEqual([400, 'validation_failed']);
  expect(await outcome(await at('?lastEventId=5', bearer(token)))).toEqual([400, 'validation_failed']);
  expect(
    (await fetch(`${stage.server.url}/v1/notifications/stream`, { method: 'HEAD', headers: bearer(token) })).status,
  ).toBe(200);
});

test('a stream a request’s room is its user’s own: another user hears nothing of it', async () => {
  const [own, other] = [await stage.open('?room=request_r'), await stage.open('?room=request_r', {}, newUser())];
  await Promise.all([own.first('ready'), other.first('ready')]);
  await stage.say(1, 'r');
  await own.hears(1);
  expect(other.seqs()).toEqual([]);
});

test('a stream may be opened with a token in the address, which is in no line of the log', async () => {
  const token = await tokens.mint(stage.user, { expiresInSeconds: 60 });
  const at = `${stage.server.url}/v1/notifications/stream`;
  const stream = await openStream(`${at}?access_token=${token}&room=user_${stage.user}`);
  await stream.first('ready');
  stream.stop();
  const refused = await fetch(`${at}?access_token=${token}&room=everyone`);
  expect(await refused.text()).not.toContain(token);
  await fetch(`${at}/elsewhere?access_token=${token}`);
  const isLogged = (status: number) =>
    stage.server.lines.first((line) => line.includes(`stream ${status}`), `${status}`);
  await Promise.all([isLogged(200), isLogged(400)]);
  expect(stage.server.lines.items.filter((line) => line.includes(token) || line.includes('access_token'))).toEqual([]);
});

test('a stream answers pages of allowed origins alone, with the headers of every answer', async () => {
  const stream = await stage.open('', { Origin: 'https://app.example.com' });
  expect(stream.response.headers.get('access-control-allow-origin')).toBe('https://app.example.com');
  expect(stream.response.headers.get('content-security-policy')).toContain("default-src 'none'");
  const foreign = await stage.open('', { Origin: 'https://evil.example.com' });
  expect(foreign.response.headers.get('access-control-allow-origin')).toBeNull();
});
