import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { SignJWT } from 'jose';
import { startApi, type CallOptions, type TestApi } from '../../test/support/api.js';
import { testApiKey, testJwtSecret } from '../../test/support/synap.js';
import { newId } from '../platform/ids.js';
import { createTokens } from '../platform/tokens.js';
import { endpointsOf } from './endpoints.js';
import { LocalCounters } from './limits/counters.js';
import { hashApiKey } from './service-keys.js';

/** Every route against everybody who must not pass. A route that is not in these tables fails the last test. */

let api: TestApi;
/** What belongs to Ada. */
let fileId: string;
let eventId: string;

beforeAll(async () => {
  api = await startApi();
  const accepted = await api.call('/v1/events', {
    user: 'ada',
    json: { type: 'note.creation.requested', requestId: 'req-ada', data: { title: 't', content: 'c' } },
  });
  ({ eventId } = (await accepted.json()) as { eventId: string });
  const uploaded = await api.call('/v1/files', {
    user: 'ada',
    method: 'POST',
    body: 'mine',
    headers: { 'X-File-Name': 'a.txt' },
  });
  ({ id: fileId } = (await uploaded.json()) as { id: string });
  await insertProjections();
});
afterAll(() => api.close());

async function insertProjections(): Promise<void> {
  const { sql } = api.deps.database;
  const owned = { userId: 'ada', id: 'own-1' };
  await sql
    .insertInto('notes')
    .values({
      ...owned,
      title: 't',
      content: 'c',
      tags: [],
      fileId,
      filePath: 'p',
      fileUrl: 'u',
      excerpt: 'c',
      contentLength: 1,
    })
    .execute();
  await sql
    .insertInto('projects')
    .values({ ...owned, name: 'n' })
    .execute();
  await sql
    .insertInto('tasks')
    .values({ ...owned, title: 't' })
    .execute();
  await sql
    .insertInto('conversation_threads')
    .values({ ...owned, title: 't' })
    .execute();
}

const post = (json: unknown): CallOptions => ({ method: 'POST', json });
const userRoutes: [path: string, options: CallOptions][] = [
  ['/v1/events', post({})],
  ['/v1/events/batch', post({})],
  ['/v1/events?correlationId=req-ada', {}],
  ['/v1/events/:eventId', {}],
  ['/v1/events/:eventId/descendants', {}],
  ['/v1/requests/req-ada', {}],
  ['/v1/requests/req-ada', { method: 'DELETE' }],
  ['/v1/notifications', {}],
  ['/v1/notifications/seen', post({ upTo: 1 })],
  ['/v1/presence', {}],
  ['/v1/files', { method: 'POST', body: 'x' }],
  ['/v1/files/:fileId', {}],
  ['/v1/notes', {}],
  ['/v1/notes/own-1', {}],
  ['/v1/tasks', {}],
  ['/v1/tasks/own-1', {}],
  ['/v1/projects', {}],
  ['/v1/projects/own-1', {}],
  ['/v1/conversations', {}],
  ['/v1/conversations/own-1/messages', {}],
];
const singles = [
  '/v1/events/:eventId',
  '/v1/events/:eventId/descendants',
  '/v1/requests/req-ada',
  '/v1/files/:fileId',
  '/v1/notes/own-1',
  '/v1/tasks/own-1',
  '/v1/projects/own-1',
  '/v1/conversations/own-1/messages',
];
const lists = ['/v1/events?correlationId=req-ada', '/v1/notes', '/v1/tasks', '/v1/projects', '/v1/conversations'];

const filled = (path: string) => path.replace(':eventId', eventId).replace(':fileId', fileId);
const codeOf = async (response: Response) => ((await response.json()) as { code?: string }).code;
const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');

describe('a route of users', () => {
  const expired = createTokens(testJwtSecret, () => Date.now() - 3_600_000).mint('ada', { expiresInSeconds: 60 });
  const foreign = createTokens('another secret that is long enough, too').mint('ada', { expiresInSeconds: 60 });
  const key = new TextEncoder().encode(testJwtSecret);
  const signed = (claims: Record<string, unknown>, alg = 'HS256') =>
    new SignJWT({ sub: 'ada', ...claims }).setProtectedHeader({ alg }).setExpirationTime('1h').sign(key);
  const later = signed({ nbf: Math.floor(Date.now() / 1_000) + 600 });
  const nobody = signed({ sub: '' });
  const otherAlgorithm = signed({}, 'HS384');
  const unsigned = `${encode({ alg: 'none', typ: 'JWT' })}.${encode({ sub: 'ada' })}.`;

  test.each(userRoutes)('%s refuses who has no valid token', async (path, options) => {
    const cases: [string | undefined, string][] = [
      [undefined, 'unauthenticated'],
      ['Basic YWRhOmFkYQ==', 'unauthenticated'],
      ['Bearer', 'unauthenticated'],
      ['Bearer nonsense', 'token_invalid'],
      [`Bearer ${await foreign}`, 'token_invalid'],
      [`Bearer ${unsigned}`, 'token_invalid'],
      [`Bearer ${await later}`, 'token_invalid'],
      [`Bearer ${await nobody}`, 'token_invalid'],
      [`Bearer ${await otherAlgorithm}`, 'token_invalid'],
      [`Bearer ${testApiKey}`, 'unauthenticated'],
      [`Bearer ${await expired}`, 'token_expired'],
    ];
    for (const [authorization, code] of cases) {
      const response = await api.call(filled(path), {
        ...options,
        // Neither a service nor an operator speaks for a user.
        headers: {
          ...(authorization && { Authorization: authorization }),
          ...{ 'X-API-Key': testApiKey, Cookie: 'synap_operator=anything' },
        },
      });
      expect([response.status, await codeOf(response)]).toEqual([401, code]);
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/);
    }
  });

  test.each(singles)('%s is there for its owner and not found for others', async (path) => {
    const own = await api.call(filled(path), { user: 'ada' });
    expect(own.status).toBe(200);
    const other = await api.call(filled(path), { user: 'mallory' });
    expect([other.status, await codeOf(other)]).toEqual([404, 'not_found']);
  });

  test.each(lists)('%s lists nothing of others', async (path) => {
    const itemsOf = async (user: string) =>
      ((await (await api.call(path, { user })).json()) as { items: unknown[] }).items;
    expect(await itemsOf('ada')).not.toHaveLength(0);
    expect(await itemsOf('mallory')).toHaveLength(0);
  });

  test.each(['/v1/events/not-a-uuid', '/v1/files/not-a-uuid', '/v1/requests/not%20an%20id'])(
    '%s cannot exist, so it is not found',
    async (path) => {
      expect((await api.call(path, { user: 'ada' })).status).toBe(404);
    },
  );
});

describe('the route of services', () => {
  const notification = { type: 'mail.sent', data: {}, status: 'success' };
  const send = (key: string | undefined, json: unknown = notification, user?: string) =>
    api.call('/rooms/user_ada/broadcast', {
      json,
      ...(user && { user }),
      headers: key === undefined ? {} : { 'X-API-Key': key },
    });

  async function insertKey(key: string, values: { scopes: string[]; revokedAt?: Date }): Promise<string> {
    const id = newId();
    await api.deps.database.sql
      .insertInto('api_keys')
      .values({ id, name: 'test', hash: hashApiKey(key), ...values })
      .execute();
    return id;
  }

  test('takes no token of a user beside a wrong key', async () => {
    const response = await send('wrong', notification, 'ada');
    expect([response.status, await codeOf(response)]).toEqual([401, 'token_invalid']);
  });

  test("tells a user's presence to who may speak to their rooms, and to nobody else", async () => {
    await insertKey('present', { scopes: ['broadcast'] });
    await insertKey('absent', { scopes: ['other'] });
    // Keys are held in memory for a moment.
    const fresh = await startApi({ databaseUrl: api.deps.config.database.url ?? '' });
    const ask = async (headers: Record<string, string>, user?: string) => {
      const response = await fresh.call('/v1/users/ada/presence', { headers, ...(user && { user }) });
      return [response.status, await response.json()];
    };
    try {
      expect(await ask({ 'X-API-Key': testApiKey })).toEqual([200, { devices: [] }]);
      expect(await ask({ 'X-API-Key': 'present' })).toEqual([200, { devices: [] }]);
      expect(await ask({ 'X-API-Key': 'absent' })).toMatchObject([403, { code: 'forbidden' }]);
      expect(await ask({ 'X-API-Key': 'wrong' })).toMatchObject([401, { code: 'token_invalid' }]);
      expect(await ask({}, 'ada')).toMatchObject([401, { code: 'unauthenticated' }]);
    } finally {
      await fresh.close();
    }
  });

  test("refuses a missing and a wrong key, and a user's token", async () => {
    for (const [response, code] of [
      [await send(undefined), 'unauthenticated'],
      [await send('wrong'), 'token_invalid'],
      [await send(undefined, notification, 'ada'), 'unauthenticated'],
    ] as const) {
      expect([response.status, await codeOf(response)]).toEqual([401, code]);
    }
  });

  test('takes the configured key, and stored keys that have the scope', async () => {
    await insertKey('stored', { scopes: ['broadcast'] });
    await insertKey('scopeless', { scopes: ['other'] });
    await insertKey('revoked', { scopes: ['broadcast'], revokedAt: new Date() });
    const fresh = await startApi({ databaseUrl: api.deps.config.database.url ?? '' });
    const status = async (key: string) =>
      (await fresh.call('/rooms/user_ada/broadcast', { json: notification, headers: { 'X-API-Key': key } })).status;
    try {
      expect([
        await status(testApiKey),
        await status('stored'),
        await status('scopeless'),
        await status('revoked'),
      ]).toEqual([200, 200, 403, 401]);
    } finally {
      await fresh.close();
    }
  });

  test('stores and numbers what a service says, as the documents write a notification', async () => {
    const json = { ...notification, userId: 'ada', requestId: 'req-ada', timestamp: new Date().toISOString() };
    const response = await api.call('/rooms/request_req-ada/broadcast', { json, headers: { 'X-API-Key': testApiKey } });
    expect([response.status, await response.json()]).toEqual([200, { success: true, broadcastCount: 0 }]);
    const entries = await api.deps.database.sql
      .selectFrom('room_entries')
      .select(['room', 'seq'])
      .where('room', 'like', 'r:%')
      .execute();
    expect(entries).toEqual([{ room: 'r:ada:req-ada', seq: 1 }]);
  });

  test.each([
    ['user_ada', { ...notification, status: 'done' }, 'status'],
    ['user_ada', { ...notification, data: { text: 'a\u0000b' } }, 'data.text'],
    ['user_ada', { status: 'success', data: {} }, 'type'],
    ['user_ada', { ...notification, userId: 'grace' }, 'userId'],
    ['request_req-ada', notification, 'userId'],
    ['elsewhere', notification, 'room'],
  ])('says what is wrong with a notification to %s', async (room, json, fault) => {
    const response = await api.call(`/rooms/${room}/broadcast`, { json, headers: { 'X-API-Key': testApiKey } });
    expect(response.status).toBe(400);
    expect(((await response.json()) as { errors: { path: string }[] }).errors.map(({ path }) => path)).toContain(fault);
  });
});

describe('the token of the demo', () => {
  test('signs in outside production', async () => {
    const response = await api.call('/v1/dev/token', { json: { userId: 'grace' } });
    const { token } = (await response.json()) as { token: string };
    expect(await api.deps.tokens.verify(token)).toMatchObject({ userId: 'grace' });
  });

  test('does not exist in production', async () => {
    const env = { NODE_ENV: 'production', REDIS_URL: 'redis://127.0.0.1:1' };
    const production = await startApi({ databaseUrl: api.deps.config.database.url ?? '', env });
    try {
      const response = await production.call('/v1/dev/token', { json: { userId: 'grace' } });
      expect([response.status, await codeOf(response)]).toEqual([404, 'not_found']);
    } finally {
      await production.close();
    }
  });
});

test('every route of the API is in one of the tables above', () => {
  const routes = endpointsOf(api.deps, new LocalCounters(api.deps.clock)).map(
    ({ method, path }) => `${method} ${path}`,
  );
  const tested = userRoutes.map(([path, { method = 'get' }]) => `${method.toLowerCase()} ${path.replace(/[?].*/, '')}`);
  const pattern = (route: string) => new RegExp(`^${route.replace(/:\w+/g, '[^/]+').replaceAll('.', '[.]')}$`);
  const others = [
    'post /rooms/:room/broadcast',
    'get /v1/users/:userId/presence',
    'get /asyncapi.json',
    'post /v1/dev/token',
  ];
  // src/http/admin-dead-letters.test.ts has those of operators.
  const isOther = (route: string) => others.includes(route) || route.includes(' /v1/admin/');
  for (const route of routes.filter((each) => !isOther(each))) {
    expect(tested.filter((each) => pattern(route).test(each))).not.toEqual([]);
  }
});
