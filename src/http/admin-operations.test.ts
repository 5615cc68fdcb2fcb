import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { faultsOf, itemsOf, startAdmin, type TestAdmin } from '../../test/support/admin.js';

let own: TestAdmin;
beforeAll(async () => {
  own = await startAdmin();
});
afterAll(() => own.api.close());

describe('an act on many', () => {
  test('only counts as a dry run', async () => {
    for (let n = 0; n < 3; n++) await own.dead({ userId: 'dry' });
    const answer = await own.post('/dead-letters/replay', { filter: { userId: 'dry' }, dryRun: true });
    expect([answer.status, answer.body]).toEqual([200, { matched: 3 }]);
    expect(await own.query(`SELECT FROM bulk_operations WHERE filter->>'userId' = 'dry'`)).toEqual([]);
  });

  test('is accepted as an operation that can be looked at, listed and stopped', async () => {
    await own.dead({ userId: 'many' });
    const order = { filter: { userId: 'many' }, reason: 'a bad release', ratePerSecond: 5 };
    const { status, body, headers } = await own.post('/dead-letters/discard', order);
    const path = `/operations/${String(body['id'])}`;
    expect([status, headers.get('location')]).toEqual([202, `/v1/admin${path}`]);
    expect(body).toEqual({
      id: expect.any(String),
      action: 'discard',
      actor: 'API_KEY',
      filter: { userId: 'many' },
      options: { reason: 'a bad release' },
      ratePerSecond: 5,
      state: 'running',
      total: 1,
      done: 0,
      skipped: 0,
      lastError: null,
      startedAt: expect.any(String),
      finishedAt: null,
    });
    expect((await own.get(path)).body).toEqual(body);
    const newer = await own.post('/dead-letters/replay', { filter: {} });
    expect(newer.body).toMatchObject({ options: { mode: 'resume', force: false }, ratePerSecond: 50 });
    const page = await own.get('/operations?limit=1');
    expect(itemsOf(page).map(({ id }) => id)).toEqual([newer.body['id']]);
    const rest = await own.get(`/operations?limit=1&cursor=${String(page.body['nextCursor'])}`);
    expect(itemsOf(rest).map(({ id }) => id)).toEqual([body['id']]);
    for (let n = 0; n < 2; n++) {
      expect(await own.call('DELETE', path)).toMatchObject({
        status: 200,
        body: { state: 'cancelled', finishedAt: expect.any(String) },
      });
    }
    expect((await own.actsOn(String(body['id']))).map(({ action }) => action)).toEqual([
      'operation.started',
      'operation.stopped',
    ]);
    await own.query(`UPDATE bulk_operations SET state = 'completed' WHERE id = $1`, [newer.body['id']]);
    expect((await own.call('DELETE', `/operations/${String(newer.body['id'])}`)).body['code']).toBe('operation_ended');
  });

  test.each<[string, unknown, string[]]>([
    ['replay', {}, ['filter']],
    ['replay', { filter: { usreId: 'ada' } }, ['filter.usreId']],
    ['replay', { filter: { state: 'discarded' } }, ['filter.state']],
    ['replay', { filter: {}, ratePerSecond: 1_001, mode: 'x' }, ['ratePerSecond', 'mode']],
    ['discard', { filter: {} }, ['reason']],
  ])('%s of %j is refused with every fault', async (act, body, faults) => {
    const answer = await own.post(`/dead-letters/${act}`, body);
    expect([answer.status, faultsOf(answer)]).toEqual([400, faults]);
  });
});

describe('queues', () => {
  const name = 'task.creation.requested';

  test('are listed with what is set and what waits, also while their store is away', async () => {
    const answer = await own.get('/queues');
    expect(itemsOf(answer).map(({ queue }) => queue)).toEqual(own.api.deps.catalogue.queues);
    expect((await own.get(`/queues/${name}`)).body).toEqual({
      queue: name,
      paused: false,
      concurrency: null,
      rate: null,
      updatedAt: null,
      updatedBy: null,
      counts: null,
      postgres: { due: 0, scheduled: 0, deadLetters: expect.any(Number) },
    });
  });

  test('keep what is set, each part by itself, and null takes a limit away', async () => {
    expect(await own.call('PUT', `/queues/${name}`, { rate: { max: 10, windowMs: 1_000 } })).toMatchObject({
      status: 200,
      body: { paused: false, rate: { max: 10, windowMs: 1_000 }, concurrency: null, updatedBy: 'API_KEY' },
    });
    await own.call('PUT', `/queues/${name}`, { paused: true, concurrency: 3 });
    expect((await own.get(`/queues/${name}`)).body).toMatchObject({ paused: true, concurrency: 3, rate: { max: 10 } });
    await own.call('PUT', `/queues/${name}`, { rate: null, concurrency: null, paused: false });
    expect((await own.get(`/queues/${name}`)).body).toMatchObject({ paused: false, concurrency: null, rate: null });
    expect((await own.actsOn(name)).map(({ action }) => action)).toEqual([
      'queue.changed',
      'queue.changed',
      'queue.changed',
    ]);
  });

  test.each<[unknown, string]>([
    [{}, ''],
    [{ concurrency: 0 }, 'concurrency'],
    [{ rate: { max: 1 } }, 'rate.windowMs'],
    [{ paused: true, pause: true }, 'pause'],
  ])('refuse %j', async (body, fault) => {
    expect(faultsOf(await own.call('PUT', `/queues/${name}`, body))).toEqual([fault]);
  });

  test('that are none are not found', async () => {
    expect((await own.get('/queues/no.such.queue')).status).toBe(404);
    expect((await own.call('PUT', '/queues/no.such.queue', { paused: true })).status).toBe(404);
    expect(await own.query(`SELECT FROM queue_settings WHERE queue = 'no.such.queue'`)).toEqual([]);
  });
});
