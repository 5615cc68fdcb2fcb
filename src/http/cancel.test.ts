import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startApi, type TestApi } from '../../test/support/api.js';

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ env: { ALLOWED_ORIGINS: 'https://app.example.com' } });
});
afterAll(() => api.close());

const note = (requestId: string) => ({
  type: 'note.creation.requested',
  data: { title: 'Groceries', content: 'Milk' },
  requestId,
});
const cancel = (requestId: string, user?: string) =>
  api.call(`/v1/requests/${requestId}`, { method: 'DELETE', ...(user !== undefined && { user }) });

test('DELETE /v1/requests/:requestId answers how the request then stands, each time', async () => {
  await api.call('/v1/events', { user: 'ada', json: note('req-1') });
  const first = await cancel('req-1', 'ada');
  expect(first.status).toBe(200);
  const view = (await first.json()) as object;
  expect(view).toMatchObject({ requestId: 'req-1', status: 'cancelled', attempts: 0, jobs: [{ status: 'cancelled' }] });
  const second = await cancel('req-1', 'ada');
  expect(second.status).toBe(200);
  expect(await second.json()).toEqual(view);
});

test('it is its owner’s alone: others and malformed ids find nothing, and nobody without a token', async () => {
  await api.call('/v1/events', { user: 'ada', json: note('req-2') });
  for (const [requestId, user] of [
    ['req-2', 'eve'],
    ['never-was', 'ada'],
    ['a%20b', 'ada'],
  ] as const)
    expect((await cancel(requestId, user)).status).toBe(404);
  expect((await cancel('req-2')).status).toBe(401);
  const view = await api.call('/v1/requests/req-2', { user: 'ada' });
  expect(await view.json()).toMatchObject({ status: 'pending' });
});

test('of what has ended by itself it is refused with job_state_conflict', async () => {
  await api.call('/v1/events', { user: 'ada', json: note('req-3') });
  await api.deps.database.pool.query(
    `UPDATE jobs SET state = 'completed', "finishedAt" = now() WHERE "requestId" = 'req-3'`,
  );
  const refused = await cancel('req-3', 'ada');
  expect(refused.status).toBe(409);
  expect(await refused.json()).toMatchObject({ code: 'job_state_conflict' });
});

test('other methods of the path are told so, and pages of allowed origins may use it', async () => {
  const wrong = await api.call('/v1/requests/req-1', { method: 'PATCH', user: 'ada' });
  expect(wrong.status).toBe(405);
  expect(wrong.headers.get('allow')).toBe('GET, HEAD, DELETE');
  const preflight = await api.call('/v1/requests/req-1', {
    method: 'OPTIONS',
    headers: { Origin: 'https://app.example.com', 'Access-Control-Request-Method': 'DELETE' },
  });
  expect(preflight.headers.get('access-control-allow-methods')).toContain('DELETE');
});

test('in maintenance it is refused, as all that writes', async () => {
  const closed = await startApi({ env: { MAINTENANCE_MODE: 'true' } });
  try {
    expect((await closed.call('/v1/requests/req-1', { method: 'DELETE', user: 'ada' })).status).toBe(503);
  } finally {
    await closed.close();
  }
});
