import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApi, type TestApi } from '../../test/support/api.js';
import { testApiKey } from '../../test/support/synap.js';
import { newId } from '../platform/ids.js';
import { hashApiKey } from './service-keys.js';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const codeOf = async (response: Response) => ((await response.json()) as { code?: string }).code;

describe('a route of services', () => {
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
