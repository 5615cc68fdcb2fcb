import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { startApi, type TestApi } from '../../test/support/api.js';
import { defineEvent } from '../events/definition.js';
import { defineSchedule } from '../events/schedule.js';
import { newId } from '../platform/ids.js';
import { hashApiKey } from './service-keys.js';

const on = defineEvent({ type: 'report.creation.due', aggregateType: 'report', origin: 'handler', data: z.object({}) });
const scheduleOf = (name: string) =>
  defineSchedule({ name, on, cron: '0 9 * * *', timeZone: 'UTC', data: () => ({}), ifMissed: 'skip' });
const now = Date.parse('2026-11-22T10:00:00Z');

let api: TestApi;
beforeAll(async () => {
  const clock = { now: () => now, after: () => () => undefined };
  api = await startApi({ deps: { schedules: ['ticked', 'fresh', 'changed'].map(scheduleOf), clock } });
  await api.deps.database.sql
    .insertInto('api_keys')
    .values(
      ['admin', 'broadcast'].map((scope) => ({ id: newId(), name: scope, hash: hashApiKey(scope), scopes: [scope] })),
    )
    .execute();
  const definition = '0 9 * * * UTC';
  const ticked = new Date('2026-11-22T09:00:00Z');
  await api.deps.database.sql
    .insertInto('schedules')
    .values([
      { name: 'ticked', definition, lastTickAt: ticked },
      { name: 'fresh', definition, lastTickAt: new Date('2026-11-22T09:30:00Z') },
      { name: 'changed', definition: '0 8 * * * UTC', lastTickAt: ticked },
    ])
    .execute();
});
afterAll(() => api.close());

const call = (key: string) => api.call('/v1/admin/schedules', { headers: { 'X-API-Key': key } });

test('an administrator sees when each schedule ticks next and did last', async () => {
  const response = await call('admin');
  expect(response.status).toBe(200);
  const rest = { type: on.type, cron: '0 9 * * *', timeZone: 'UTC', userId: 'system', ifMissed: 'skip' };
  const nextTickAt = '2026-11-23T09:00:00.000Z';
  expect(await response.json()).toEqual({
    items: [
      { name: 'changed', ...rest, nextTickAt, lastTickAt: null },
      { name: 'fresh', ...rest, nextTickAt, lastTickAt: null },
      { name: 'ticked', ...rest, nextTickAt, lastTickAt: '2026-11-22T09:00:00.000Z' },
    ],
  });
});

test('nobody else does', async () => {
  expect((await call('broadcast')).status).toBe(403);
  expect((await call('unknown')).status).toBe(401);
  expect((await api.call('/v1/admin/schedules', { user: 'ada' })).status).toBe(401);
});
