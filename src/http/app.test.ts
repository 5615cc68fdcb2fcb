import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApi, type TestApi } from '../../test/support/api.js';
import { SynapError } from '../platform/errors.js';

let api: TestApi;

beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const note = (title = 'Groceries') => ({ type: 'note.creation.requested', data: { title, content: 'Milk, bread' } });
const databaseUrl = () => api.deps.config.database.url ?? '';
const bodyOf = async (response: Response) => (await response.json()) as Record<string, unknown>;

async function countEvents(userId: string): Promise<number> {
  const { count } = await api.deps.database.sql
    .selectFrom('events')
    .select((is) => is.fn.countAll<number>().as('count'))
    .where('userId', '=', userId)
    .executeTakeFirstOrThrow();
  return count;
}

describe('POST /v1/events', () => {
  test('answers 202 when the event is committed, with links that its owner can follow', async () => {
    const response = await api.call('/v1/events', { user: 'ada', json: { ...note(), requestId: 'req-1' } });
    expect(response.status).toBe(202);
    const accepted = await bodyOf(response);
    expect(accepted).toMatchObject({ requestId: 'req-1', correlationId: 'req-1', status: 'accepted' });
    const links = accepted['links'] as { request: string; event: string };
    const [event, request] = await Promise.all([
      api.call(links.event, { user: 'ada' }),
      api.call(links.request, { user: 'ada' }),
    ]);
    expect(await bodyOf(event)).toMatchObject({
      id: accepted['eventId'],
      type: 'note.creation.requested',
      userId: 'ada',
      source: 'api',
    });
    expect(await bodyOf(request)).toMatchObject({ requestId: 'req-1', status: 'pending' });
  });

  test('the same Idempotency-Key gives the same answer and one event', async () => {
    const headers = { 'Idempotency-Key': 'key 1' };
    const first = await api.call('/v1/events', { user: 'idem', json: note(), headers });
    const second = await api.call('/v1/events', { user: 'idem', json: note(), headers });
    expect([first.status, second.status]).toEqual([202, 202]);
    expect(await bodyOf(second)).toEqual(await bodyOf(first));
    const other = await api.call('/v1/events', { user: 'idem', json: note('Other'), headers });
    expect(other.status).toBe(422);
    expect(await bodyOf(other)).toMatchObject({ code: 'idempotency_key_reused' });
    expect(await countEvents('idem')).toBe(1);
  });

  test.each([
    ['a'.repeat(256), 400],
    ['ümlaut', 400],
    ['a'.repeat(255), 202],
  ])('an Idempotency-Key must be 1 to 255 printable ASCII characters', async (key, status) => {
    const response = await api.call('/v1/events', { user: 'keys', json: note(), headers: { 'Idempotency-Key': key } });
    expect(response.status).toBe(status);
  });

  test('a validation failure names the path of each fault', async () => {
    const response = await api.call('/v1/events', {
      user: 'ada',
      json: { type: 'note.creation.requested', data: { title: '', content: 3 } },
    });
    expect(response.status).toBe(400);
    expect(response.headers.get('content-type')).toMatch('application/problem+json');
    const problem = await bodyOf(response);
    expect(problem).toMatchObject({ code: 'validation_failed', status: 400, instance: '/v1/events' });
    expect((problem['errors'] as { path: string }[]).map(({ path }) => path)).toEqual(
      expect.arrayContaining(['data.title', 'data.content']),
    );
  });

  test('an unknown event type is 422 and says which there are', async () => {
    const response = await api.call('/v1/events', { user: 'ada', json: { type: 'note.creation.completed', data: {} } });
    expect(response.status).toBe(422);
    expect(await bodyOf(response)).toMatchObject({
      code: 'unknown_event_type',
      detail: expect.stringContaining('note.creation.requested'),
    });
  });
});

describe('POST /v1/events/batch', () => {
  test('answers one item per event in order, each with a status of its own', async () => {
    const events = [note('first'), { type: 'no.such.type', data: {} }, note('third'), 'not an event'];
    const response = await api.call('/v1/events/batch', { user: 'batch', json: { events } });
    expect(response.status).toBe(200);
    const { items } = (await response.json()) as { items: { status: number; code?: string; eventId?: string }[] };
    expect(items.map(({ status, code }) => [status, code])).toEqual([
      [202, undefined],
      [422, 'unknown_event_type'],
      [202, undefined],
      [400, 'validation_failed'],
    ]);
    const third = await bodyOf(await api.call(`/v1/events/${items[2]?.eventId}`, { user: 'batch' }));
    expect(third).toMatchObject({ data: { title: 'third' } });
  });

  test('an Idempotency-Key counts per place in the batch', async () => {
    const send = () =>
      api.call('/v1/events/batch', {
        user: 'again',
        json: { events: [note('a'), note('b')] },
        headers: { 'Idempotency-Key': 'k' },
      });
    const [first, second] = [await bodyOf(await send()), await bodyOf(await send())];
    expect(second).toEqual(first);
    expect(await countEvents('again')).toBe(2);
  });

  test.each([[[]], [Array.from({ length: 1_001 }, () => note())], ['text']])(
    'takes 1 to 1,000 events',
    async (events) => {
      const response = await api.call('/v1/events/batch', { user: 'batch', json: { events } });
      expect(response.status).toBe(400);
      expect(await bodyOf(response)).toMatchObject({ errors: [{ path: 'events' }] });
    },
  );

  test('a thousand events pass in one call', async () => {
    const events = Array.from({ length: 1_000 }, (_, nth) => note(`Note ${nth}`));
    const response = await api.call('/v1/events/batch', { user: 'thousand', json: { events } });
    const { items } = (await response.json()) as { items: { status: number }[] };
    expect(items.filter(({ status }) => status === 202)).toHaveLength(1_000);
    expect(await countEvents('thousand')).toBe(1_000);
  });
});

describe('reading events', () => {
  test('a story is paged by cursor, oldest first, to its end', async () => {
    const events = Array.from({ length: 5 }, (_, nth) => ({ ...note(`Note ${nth}`), correlationId: 'story' }));
    await api.call('/v1/events/batch', { user: 'reader', json: { events } });
    const seen: string[] = [];
    let cursor = '';
    do {
      const page = await api.call(`/v1/events?correlationId=story&limit=2${cursor}`, { user: 'reader' });
      const { items, nextCursor } = (await page.json()) as { items: { id: string }[]; nextCursor?: string };
      seen.push(...items.map(({ id }) => id));
      cursor = nextCursor === undefined ? '' : `&cursor=${nextCursor}`;
    } while (cursor !== '');
    expect(new Set(seen).size).toBe(5);
    expect(seen).toEqual(seen.toSorted());
  });

  test('descendants are what an event caused', async () => {
    const root = await bodyOf(await api.call('/v1/events', { user: 'cause', json: note() }));
    await api.call('/v1/events', { user: 'cause', json: { ...note('child'), causationId: root['eventId'] } });
    const { items } = (await (
      await api.call(`/v1/events/${String(root['eventId'])}/descendants`, { user: 'cause' })
    ).json()) as { items: unknown[] };
    expect(items).toMatchObject([{ depth: 1, data: { title: 'child' } }]);
  });

  test.each([
    ['/v1/events', 'correlationId'],
    ['/v1/events?correlationId=a&limit=0', 'limit'],
    ['/v1/events?correlationId=a&limit=101', 'limit'],
    ['/v1/events?correlationId=a&cursor=nonsense', 'cursor'],
    ['/v1/events?correlationId=a&correlationId=b', 'correlationId'],
    ['/v1/notes?limit=x', 'limit'],
  ])('%s: a wrong query is 400 with the path %s', async (path, fault) => {
    const response = await api.call(path, { user: 'ada' });
    expect(response.status).toBe(400);
    expect(await bodyOf(response)).toMatchObject({ code: 'validation_failed', errors: [{ path: fault }] });
  });
});

describe('answers', () => {
  test('unknown routes are 404 and known ones with another method 405, as problems', async () => {
    const missing = await api.call('/v1/nothing', { user: 'ada' });
    expect(missing.status).toBe(404);
    expect(await bodyOf(missing)).toMatchObject({ code: 'not_found', instance: '/v1/nothing' });
    const wrong = await api.call('/v1/events', { user: 'ada', method: 'DELETE' });
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get('allow')).toBe('POST, GET, HEAD');
    expect(await bodyOf(wrong)).toMatchObject({ code: 'method_not_allowed' });
  });

  test("a malformed path is the client's fault", async () => {
    expect((await api.call('/v1/requests/%E0%A4%A', { user: 'ada' })).status).toBe(400);
    expect((await api.call('/v1/events/%00', { user: 'ada' })).status).toBe(404);
  });

  test('X-Request-ID is taken over where it is safe, and given where not', async () => {
    const taken = await api.call('/v1/nothing', { headers: { 'X-Request-ID': 'call-1' } });
    expect(taken.headers.get('x-request-id')).toBe('call-1');
    expect(await bodyOf(taken)).toMatchObject({ httpRequestId: 'call-1' });
    const refused = await api.call('/v1/nothing', { headers: { 'X-Request-ID': 'two words' } });
    expect(refused.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('a failure inside tells outsiders nothing, is logged with its stack and counted', async () => {
    const broken = { find: () => Promise.reject(new Error('the secret reason')) };
    const faulty = await startApi({ databaseUrl: databaseUrl(), deps: { requests: broken } });
    try {
      const response = await faulty.call('/v1/requests/r-1', { user: 'ada' });
      expect(response.status).toBe(500);
      const text = await response.text();
      expect(JSON.parse(text)).toMatchObject({ code: 'internal', title: 'Internal error' });
      expect(text).not.toContain('secret reason');
      const line = await faulty.logs.first(({ err }) => err !== undefined, 'the error in the log');
      expect(line).toMatchObject({ level: 50, httpRequestId: response.headers.get('x-request-id') });
      expect(JSON.stringify(line['err'])).toContain('the secret reason');
      expect(await faulty.deps.metrics.registry.metrics()).toMatch(
        /application_errors_total\{type="Error",severity="error"\} 1/,
      );
    } finally {
      await faulty.close();
    }
  });

  test.each([
    new SynapError('config_invalid', 'the secret reason', { publicMessage: 'the secret reason' }),
    new TypeError('the secret reason'),
  ])('whatever else fails inside is internal and nothing more: %s', async (error) => {
    const find = async (): Promise<never> => {
      throw error;
    };
    const faulty = await startApi({ databaseUrl: databaseUrl(), deps: { requests: { find } } });
    try {
      const text = await (await faulty.call('/v1/requests/r-1', { user: 'ada' })).text();
      expect(JSON.parse(text)).toMatchObject({ status: 500, code: 'internal' });
      expect(text).not.toContain('secret reason');
    } finally {
      await faulty.close();
    }
  });

  test('in maintenance what writes is told to come back, and reads go on', async () => {
    const closed = await startApi({ databaseUrl: databaseUrl(), env: { MAINTENANCE_MODE: 'true' } });
    try {
      const post = await closed.call('/v1/events', { user: 'ada', json: note() });
      expect([post.status, post.headers.get('retry-after')]).toEqual([503, '60']);
      expect(await bodyOf(post)).toMatchObject({ code: 'maintenance' });
      expect((await closed.call('/v1/notes', { user: 'ada' })).status).toBe(200);
    } finally {
      await closed.close();
    }
  });

  test('with Postgres away every route says 503 with Retry-After, and none hangs', async () => {
    const cut = await startApi({ databaseUrl: 'postgresql://nobody@127.0.0.1:1/nothing' });
    try {
      const calls = [
        cut.call('/v1/events', { user: 'ada', json: note() }),
        cut.call('/v1/events?correlationId=a', { user: 'ada' }),
        cut.call('/v1/requests/r-1', { user: 'ada' }),
        cut.call('/v1/notes', { user: 'ada' }),
        cut.call('/rooms/user_ada/broadcast', { json: {}, headers: { 'X-API-Key': 'some key' } }),
      ];
      for (const response of await Promise.all(calls)) {
        expect(response.status).toBe(503);
        expect(response.headers.get('retry-after')).toBe('1');
        expect(await bodyOf(response)).toMatchObject({ code: 'unavailable' });
      }
    } finally {
      await cut.close();
    }
  });
});
