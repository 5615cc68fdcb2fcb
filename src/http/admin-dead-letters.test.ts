import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { faultsOf, itemsOf, startAdmin, type TestAdmin } from '../../test/support/admin.js';
import { startApi } from '../../test/support/api.js';
import { newId } from '../platform/ids.js';
import { endpointsOf } from './endpoints.js';
import { LocalCounters } from './limits/counters.js';
import { hashApiKey } from './service-keys.js';

let own: TestAdmin;
beforeAll(async () => {
  own = await startAdmin();
});
afterAll(() => own.api.close());

describe('the routes of operators', () => {
  const routes = () =>
    endpointsOf(own.api.deps, new LocalCounters(own.api.deps.clock)).filter(({ path }) =>
      path.startsWith('/v1/admin/'),
    );
  const filled = (path: string) => path.replace(/:(jobId|id)/, newId()).replace(':queue', 'note.creation.requested');

  test('are closed to all but a key with the scope admin', async () => {
    const scopeless = 'a key that may broadcast';
    const values = { id: newId(), name: 'mail', hash: hashApiKey(scopeless), scopes: ['broadcast'] };
    await own.api.deps.database.sql.insertInto('api_keys').values(values).execute();
    expect(routes().length).toBeGreaterThan(10);
    for (const { method, path } of routes()) {
      const as = async (options: object) =>
        (await own.api.call(filled(path), { method: method.toUpperCase(), ...options })).status;
      expect([path, await as({}), await as({ user: 'ada' })]).toEqual([path, 401, 401]);
      expect([path, await as({ headers: { 'X-API-Key': 'wrong' } })]).toEqual([path, 401]);
      expect([path, await as({ headers: { 'X-API-Key': scopeless } })]).toEqual([path, 403]);
    }
  });

  test('act in the name of the key', async () => {
    const id = newId();
    const key = 'a key that may administrate';
    await own.api.deps.database.sql
      .insertInto('api_keys')
      .values({ id, name: 'ops', hash: hashApiKey(key), scopes: ['admin'] })
      .execute();
    const fresh = await startApi({ databaseUrl: own.api.deps.config.database.url ?? '' });
    try {
      const jobId = await own.dead();
      const headers = { 'X-API-Key': key };
      const path = `/v1/admin/dead-letters/${jobId}`;
      expect((await fresh.call(`${path}/discard`, { headers, json: { reason: 'no use' } })).status).toBe(200);
      expect((await fresh.call(`${path}/replay`, { headers, json: {} })).status).toBe(200);
      expect(await own.actsOn(jobId)).toEqual([
        { actor: id, action: 'job.discarded' },
        { actor: id, action: 'job.replayed' },
      ]);
    } finally {
      await fresh.close();
    }
  });

  test('say which methods a path has', async () => {
    const { status, headers } = await own.call('PUT', `/operations/${newId()}`, {});
    expect([status, headers.get('allow')]).toEqual([405, 'GET, HEAD, DELETE']);
    expect((await own.get(`/dead-letters/replay`)).headers.get('allow')).toBe('POST');
  });
});

describe('the list of dead letters', () => {
  let early: string;
  let late: string;

  beforeAll(async () => {
    early = await own.dead({
      userId: 'lister',
      type: 'task.creation.requested',
      letter: { fingerprint: 'one', code: 'gone', diedAt: `'2026-01-01T00:00:00Z'` },
    });
    late = await own.dead({
      userId: 'lister',
      letter: { fingerprint: 'two', code: 'late', diedAt: `'2026-02-01T00:00:00Z'` },
    });
    const closed = await own.dead({
      userId: 'lister',
      letter: { fingerprint: 'two', diedAt: `'2026-03-01T00:00:00Z'` },
    });
    await own.administration.discard(closed, { actor: 'olga', reason: 'x' });
  });

  test('is of the open ones, newest first, without their stacks', async () => {
    const answer = await own.get('/dead-letters?userId=lister');
    expect(itemsOf(answer).map(({ jobId }) => jobId)).toEqual([late, early]);
    expect(itemsOf(answer)[1]).toEqual({
      jobId: early,
      type: 'task.creation.requested',
      userId: 'lister',
      state: 'open',
      generation: 1,
      attempts: 3,
      replays: 0,
      fingerprint: 'one',
      error: { code: 'gone', message: 'the disk is full' },
      diedAt: '2026-01-01T00:00:00.000Z',
      resolvedAt: null,
      acceptedAt: expect.any(String),
      aggregateId: 'note-1',
      requestId: 'req-1',
      correlationId: 'req-1',
    });
  });

  test.each([
    ['type=task.creation.requested', ['one']],
    ['fingerprint=two', ['two']],
    ['code=gone', ['one']],
    ['since=2026-02-01T00:00:00Z', ['two']],
    ['until=2026-02-01T01:00:00%2B01:00', ['one']],
    ['since=2026-01-15T00:00:00Z&until=2026-01-20T00:00:00Z', []],
    ['state=discarded', ['two']],
    ['state=all', ['two', 'two', 'one']],
    ['state=replayed', []],
  ])('is narrowed by %s', async (filter, fingerprints) => {
    const answer = await own.get(`/dead-letters?userId=lister&${filter}`);
    expect(itemsOf(answer).map(({ fingerprint }) => fingerprint)).toEqual(fingerprints);
  });

  test('comes in pages that neither repeat nor leave out, also where many died at once', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) {
      ids.push(await own.dead({ userId: 'pager', letter: { diedAt: `'2026-01-01T00:00:00.${n < 3 ? 1 : 2}Z'` } }));
    }
    const seen: unknown[] = [];
    let cursor = '';
    do {
      const answer = await own.get(`/dead-letters?userId=pager&limit=2${cursor}`);
      seen.push(...itemsOf(answer).map(({ jobId }) => jobId));
      const next = answer.body['nextCursor'];
      cursor = typeof next === 'string' ? `&cursor=${next}` : '';
    } while (cursor !== '');
    expect(seen).toHaveLength(5);
    expect(new Set(seen)).toEqual(new Set(ids));
  });

  test.each(['usreId=ada', 'state=dead', 'since=yesterday', 'limit=0', 'cursor=nonsense', 'type=a&type=b'])(
    'refuses %s instead of showing everything',
    async (filter) => {
      const answer = await own.get(`/dead-letters?${filter}`);
      expect([answer.status, faultsOf(answer)]).toEqual([400, [filter.replace(/=.*/, '')]]);
    },
  );

  test('is grouped by what they died of, largest first, with the newest as the sample, in pages', async () => {
    for (const [fingerprint, n] of [
      ['g1', 1],
      ['g2', 2],
      ['g3', 2],
    ] as const) {
      for (let i = 1; i <= n; i++) {
        await own.dead({
          userId: 'grouper',
          letter: { fingerprint, message: `number ${i}`, diedAt: `'2026-01-0${i}T00:00:00Z'` },
        });
      }
    }
    const first = await own.get('/dead-letters/groups?userId=grouper&limit=2');
    expect(itemsOf(first).map(({ fingerprint, count }) => [fingerprint, count])).toEqual([
      ['g2', 2],
      ['g3', 2],
    ]);
    expect(itemsOf(first)[0]).toEqual({
      fingerprint: 'g2',
      type: 'note.creation.requested',
      count: 2,
      firstAt: '2026-01-01T00:00:00.000Z',
      lastAt: '2026-01-02T00:00:00.000Z',
      code: 'handler_failed',
      message: 'number 2',
      jobId: expect.any(String),
    });
    const second = await own.get(
      `/dead-letters/groups?userId=grouper&limit=2&cursor=${String(first.body['nextCursor'])}`,
    );
    expect(itemsOf(second).map(({ fingerprint }) => fingerprint)).toEqual(['g1']);
    expect(second.body).not.toHaveProperty('nextCursor');
  });
});
