import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { SignJWT, UnsecuredJWT } from 'jose';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import { RealtimeStage, tokens, userNames, type ConnectedClient } from '../../../test/support/realtime.js';
import { nextEvent, within } from '../../../test/support/signals.js';
import { clientEvents, type AcknowledgeRequest, type ClientToServerEvents } from '../contract.js';
import type { Room } from '../rooms.js';

/**
 * Every event and every kind of room against everybody who must not pass. An event or a kind that is not in these tables fails the
 * last tests (and the types).
 */

let database: TestDatabase;
let stage: RealtimeStage;
const noted: [string, AcknowledgeRequest][] = [];
beforeAll(async () => {
  database = await createTestDatabase();
  stage = new RealtimeStage(database.url);
  const note = (room: string, request: AcknowledgeRequest) => void noted.push([room, request]);
  await stage.start('local', { server: { acknowledgements: { note } } });
});
afterAll(async () => {
  await stage.close();
  await database.drop();
});

const newUser = userNames('access');
const epoch = '0190a000-0000-7000-8000-000000000001';
const bytes = (text: string) => new TextEncoder().encode(text);
const secret = bytes('a secret that is only used in tests, 32+');
const serviceKey = 'a service key with the scope admin, 32+';
const seconds = () => Math.floor(Date.now() / 1_000);
const signed = (claims: object, key = secret, alg = 'HS256') =>
  new SignJWT({ sub: 'ada', exp: seconds() + 60, ...claims }).setProtectedHeader({ alg }).sign(key);

const badTokens: [what: string, token: () => Promise<string> | string | undefined, code: string][] = [
  ['no token', () => undefined, 'unauthenticated'],
  ['an empty token', () => '', 'unauthenticated'],
  ['nonsense', () => 'nonsense', 'token_invalid'],
  ['an expired token', () => signed({ exp: seconds() - 60 }), 'token_expired'],
  ['a token that begins later', () => signed({ nbf: seconds() + 60 }), 'token_invalid'],
  ['a wrong signature', () => signed({}, bytes('another secret that nobody here knows')), 'token_invalid'],
  ['another algorithm', () => signed({}, secret, 'HS384'), 'token_invalid'],
  ['alg none', () => new UnsecuredJWT({ sub: 'ada' }).encode(), 'token_invalid'],
  ['a token without a user', () => signed({ sub: undefined }), 'token_invalid'],
  ['the key of a service', () => serviceKey, 'token_invalid'],
];

describe('connecting', () => {
  test.each(badTokens)('with %s is refused', async (_what, make, code) => {
    const token = await make();
    const client = stage.open(token === undefined ? {} : { token });
    const error = await nextEvent<Error & { data?: { code: string } }>(client.socket as never, 'connect_error');
    expect(error.data?.code).toBe(code);
  });

  test('with the key of a service or an operator in a header, and no token, is refused', async () => {
    const client = stage.open({});
    client.socket.disconnect();
    client.socket.io.opts.extraHeaders = { 'X-API-Key': serviceKey, Cookie: 'synap_operator=anything' };
    client.socket.connect();
    const error = await nextEvent<Error & { data?: { code: string } }>(client.socket as never, 'connect_error');
    expect(error.data?.code).toBe('unauthenticated');
  });
});

describe('authenticate', () => {
  test.each(badTokens)('with %s changes nothing', async (_what, make, code) => {
    const client = await stage.connect('ada');
    const token = (await make()) ?? '';
    const expected = token === '' ? 'invalid_message' : code;
    expect(await client.ask('authenticate', { token })).toMatchObject({ ok: false, code: expected });
    expect(await client.ask('subscribe', { room: 'user_ada' })).toMatchObject({ ok: true });
  });

  test('as another user is forbidden', async () => {
    const client = await stage.connect('ada');
    const token = await tokens.mint('mallory', { expiresInSeconds: 60 });
    expect(await client.ask('authenticate', { token })).toMatchObject({ code: 'forbidden' });
  });
});

type Ask = (room: string) => object;
/** How each event names a room; undefined where it names none. */
const events: Record<keyof ClientToServerEvents, Ask | undefined> = {
  subscribe: (room) => ({ room, since: { epoch: null, seq: 0 } }),
  unsubscribe: (room) => ({ room }),
  acknowledge: (room) => ({ room, epoch, delivered: 1 }),
  authenticate: undefined,
  ping: undefined,
};
const ofRooms = Object.entries(events).flatMap(([event, ask]) => (ask === undefined ? [] : [[event, ask] as const]));

/** Each kind of room, as its owner and as somebody else may name it. */
const rooms: Record<Room['kind'], { readonly nameOf: (owner: string) => string; readonly forOthers: string }> = {
  user: { nameOf: (owner) => `user_${owner}`, forOthers: 'forbidden' },
  // The same name is a room of their own, in which nothing of the owner's is heard.
  request: { nameOf: () => 'request_shared', forOthers: 'ok' },
};
const kinds = Object.entries(rooms).map(([kind, { nameOf, forOthers }]) => [kind, nameOf, forOthers] as const);

const outcome = async (client: ConnectedClient, event: string, message: object) => {
  const answer = await client.ask(event, message);
  return answer.ok ? 'ok' : answer.code;
};

describe.each(ofRooms)('%s', (event, ask) => {
  test.each(kinds)(
    'a room of the kind %s: its owner may, others get nothing of it',
    async (_kind, nameOf, forOthers) => {
      const [owner, other] = [newUser(), newUser()];
      const [mine, theirs] = [await stage.connect(owner), await stage.connect(other)];
      await stage.say(owner, 1, 'shared');
      noted.length = 0;
      expect(await outcome(mine, event, ask(nameOf(owner)))).toBe('ok');
      expect(await outcome(theirs, event, ask(nameOf(owner)))).toBe(forOthers);
      // Whatever was noted for the other stands under a key of the other's own.
      const expected = event === 'acknowledge' ? [owner, ...(forOthers === 'ok' ? [other] : [])] : [];
      expect(noted.map(([key]) => key.split(':')[1])).toEqual(expected);
      await stage.say(owner, 2, 'shared');
      await stage.say(other, 3);
      await theirs.heard.first(({ room }) => room === `user_${other}`, 'its own');
      expect(theirs.heard.items.map(({ data }) => data)).toEqual([{ n: 3 }]);
    },
  );

  test.each([
    'user_',
    'user_*',
    'u:ada',
    'r:ada:shared',
    'request_',
    'request_a b',
    'request_../shared',
    'request_shared\u0000',
    'USER_ada',
    '__proto__',
    '/',
  ])('%j is no room of anybody', async (room) => {
    const client = await stage.connect(newUser());
    expect(['forbidden', 'invalid_room']).toContain(await outcome(client, event, ask(room)));
  });

  test('the socket’s own room, which every connection has, is not to be had', async () => {
    const [ada, mallory] = [await stage.connect(newUser()), await stage.connect(newUser())];
    expect(await outcome(mallory, event, ask(ada.socket.id ?? ''))).toBe('invalid_room');
  });
});

test('what a replay answers to another user has nothing of the owner’s', async () => {
  const [owner, other] = [newUser(), newUser()];
  await stage.say(owner, 1, 'shared');
  const theirs = await stage.connect(other);
  const answer = await theirs.subscribe({ room: 'request_shared', since: { epoch: null, seq: 0 } });
  expect(answer).toMatchObject({ epoch: null, seq: 0, notifications: [] });
});

test('ping tells of one’s own rooms only', async () => {
  const client = await stage.connect(newUser());
  await client.ask('subscribe', { room: 'request_mine' });
  const pong = await within(client.socket.emitWithAck('ping') as Promise<{ heads: object }>, 'the pong');
  expect(Object.keys(pong.heads).toSorted()).toEqual(['request_mine', expect.stringMatching(/^user_access-/)]);
});

test('every event that the server listens to is in the tables above', () => {
  expect(Object.keys(events).toSorted()).toEqual([...clientEvents].toSorted());
});

test('an event that is not in them is refused, whoever sends it', async () => {
  const client = await stage.connect('ada');
  for (const event of ['join', 'broadcast', 'notification', 'closing', 'ready', 'admin']) {
    expect(await outcome(client, event, { room: 'user_ada' })).toBe('invalid_message');
  }
});
