import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { SignJWT } from 'jose';
import { listen, startApi, urlOf, type CallOptions, type TestApi } from '../../test/support/api.js';
import { Collected } from '../../test/support/signals.js';
import { testApiKey, testJwtSecret } from '../../test/support/synap.js';
import { createTokens } from '../platform/tokens.js';
import { endpointsOf } from './endpoints.js';
import { LocalCounters } from './limits/counters.js';
import { createStreamApp, streamEndpoints, streamPath } from './stream-app.js';
import type { StreamWant } from './streams/open-streams.js';

/** Every route against everybody who must not pass. A route that is not in these tables fails the last test. */

let api: TestApi;
/** The realtime role's own app, and what it opened. */
let streamApp: Awaited<ReturnType<typeof listen>>;
const opened = new Collected<StreamWant>();
const streams: Parameters<typeof streamEndpoints>[0]['streams'] = {
  open(want, res) {
    opened.add(want);
    res.end();
    return Promise.resolve();
  },
};
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
  streamApp = await listen(createStreamApp({ ...api.deps, streams }));
});
afterAll(async () => {
  streamApp.close();
  streamApp.closeAllConnections();
  await api.close();
});

/** At the app that has the route. */
const callAt = (path: string, options: CallOptions): Promise<Response> =>
  path.startsWith(streamPath) ? fetch(`${urlOf(streamApp)}${path}`, options) : api.call(path, options);

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
  [streamPath, {}],
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
      const response = await callAt(filled(path), {
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

  test('a stream takes a token in its address, which must be as good, and gives nobody the room of another', async () => {
    const query = async (token: string, more = '') => callAt(`${streamPath}?access_token=${token}${more}`, {});
    const bad: [string, string][] = [
      ['nonsense', 'token_invalid'],
      [await foreign, 'token_invalid'],
      [unsigned, 'token_invalid'],
      [await later, 'token_invalid'],
      [await nobody, 'token_invalid'],
      [await otherAlgorithm, 'token_invalid'],
      [testApiKey, 'token_invalid'],
      [await expired, 'token_expired'],
    ];
    for (const [token, code] of bad) {
      const response = await query(token);
      expect([response.status, await codeOf(response)]).toEqual([401, code]);
    }
    const valid = await signed({});
    expect((await query(valid, '&room=user_mallory')).status).toBe(403);
    expect(opened.items).toEqual([]);
    expect((await query(valid)).status).toBe(200);
    expect((await query(valid, '&room=request_req-ada')).status).toBe(200);
    expect(opened.items.map(({ userId, room }) => [userId, room])).toEqual([
      ['ada', { kind: 'user', userId: 'ada' }],
      ['ada', { kind: 'request', userId: 'ada', requestId: 'req-ada' }],
    ]);
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

test('every route of the API and of the streams is in one of the tables above', () => {
  const endpoints = [...endpointsOf(api.deps, new LocalCounters(api.deps.clock)), ...streamEndpoints({ streams })];
  const routes = endpoints.map(({ method, path }) => `${method} ${path}`);
  const tested = userRoutes.map(([path, { method = 'get' }]) => `${method.toLowerCase()} ${path.replace(/[?].*/, '')}`);
  const pattern = (route: string) => new RegExp(`^${route.replace(/:\w+/g, '[^/]+').replaceAll('.', '[.]')}$`);
  // src/http/service-access.test.ts has those of services.
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
