import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { EventAcceptor } from '../../src/events/acceptor.js';
import { EventCatalogue } from '../../src/events/catalogue.js';
import { defineEvent } from '../../src/events/definition.js';
import { createEventQueries } from '../../src/events/event-queries.js';
import { EventStore } from '../../src/events/store.js';
import { systemClock } from '../../src/platform/clock.js';
import { readConfig } from '../../src/platform/config.js';
import { createDatabase, type Database } from '../../src/platform/database.js';
import { createMetrics } from '../../src/platform/metrics.js';
import { createLogger } from '../../src/platform/logger.js';
import type { Runnable } from '../../src/queues/ticket.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

const Handled = defineEvent({
  type: 'probe.run.requested',
  aggregateType: 'probe',
  origin: 'client',
  data: z.object({ n: z.number(), text: z.string().max(1_000).optional() }),
});
const Unhandled = defineEvent({
  type: 'probe.look.requested',
  aggregateType: 'probe',
  origin: 'client',
  data: z.object({}),
});
const Internal = defineEvent({
  type: 'probe.run.completed',
  aggregateType: 'probe',
  origin: 'handler',
  data: z.object({}),
});
const catalogue = new EventCatalogue([Handled, Unhandled, Internal], [{ on: Handled }]);

let testDatabase: TestDatabase;
let database: Database;
let acceptor: EventAcceptor;
let runnable: Runnable[] = [];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  const config = readConfig({ NODE_ENV: 'test', LOG_LEVEL: 'silent', DB_POOL_MIN: '0' });
  database = createDatabase(testDatabase.url, config.database, createLogger({ level: 'silent', pretty: false }));
  const store = new EventStore({ pool: database.pool, onRunnable: (jobs) => runnable.push(...jobs) });
  acceptor = new EventAcceptor({ catalogue, store, clock: systemClock, metrics: createMetrics('synap_') });
});
afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});
beforeEach(() => {
  runnable = [];
});

const ask = (more = {}) => ({ type: 'probe.run.requested', data: { n: 1 }, ...more });
const count = async (table: string, where = 'true') =>
  (await testDatabase.pool.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table} WHERE ${where}`)).rows[0]?.n;
const thrownBy = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('an accepted event', () => {
  test('stands in the database with its job and its outbox row before it is answered', async () => {
    const answer = await acceptor.accept('ada', ask({ requestId: 'req-1', priority: 'high', aggregateId: 'p-1' }));
    expect(answer).toEqual({
      eventId: expect.any(String),
      requestId: 'req-1',
      correlationId: 'req-1',
      aggregateId: 'p-1',
      status: 'accepted',
      links: { request: '/v1/requests/req-1', event: `/v1/events/${answer.eventId}` },
    });
    const { rows } = await testDatabase.pool.query(
      `SELECT j.state, j.priority, j.generation, j."isRoot", e.source, e.version, e."userId", o.queue
       FROM events e JOIN jobs j USING (id) JOIN outbox o ON o."jobId" = j.id WHERE e.id = $1`,
      [answer.eventId],
    );
    expect(rows).toEqual([
      {
        state: 'queued',
        priority: 1,
        generation: 1,
        isRoot: true,
        source: 'api',
        version: 1,
        userId: 'ada',
        queue: 'probe.run.requested',
      },
    ]);
    expect(runnable).toMatchObject([{ queue: 'probe.run.requested', jobId: answer.eventId, priority: 1 }]);
  });

  test('without a handler has no job', async () => {
    const { eventId } = await acceptor.accept('ada', { type: 'probe.look.requested', data: {} });
    expect(await count('jobs', `id = '${eventId}'`)).toBe(0);
    expect(runnable).toEqual([]);
  });

  test('with a far runAt waits in the outbox and is not leased before its time is near', async () => {
    const runAt = new Date(Date.now() + 3_600_000).toISOString();
    const { eventId } = await acceptor.accept('ada', ask({ runAt }));
    const { rows } = await testDatabase.pool.query(
      `SELECT j.state, o."claimedUntil" > now() + interval '58 minutes' AS waits FROM jobs j JOIN outbox o ON o."jobId" = j.id WHERE j.id = $1`,
      [eventId],
    );
    expect(rows).toEqual([{ state: 'scheduled', waits: true }]);
  });
});

describe('a body that is not right', () => {
  test.each([
    ['an unknown type', { type: 'no.such.type', data: {} }, 'unknown_event_type', []],
    ['a type that only handlers emit', { type: 'probe.run.completed', data: {} }, 'unknown_event_type', []],
    ['wrong data', ask({ data: { n: 'one' } }), 'validation_failed', ['data.n']],
    ['no data', { type: 'probe.run.requested' }, 'validation_failed', ['data']],
    ['an unknown field', ask({ priorty: 'high' }), 'validation_failed', ['priorty']],
    [
      'faults inside and outside of data',
      ask({ requestId: 'a b', data: {} }),
      'validation_failed',
      ['requestId', 'data.n'],
    ],
    ['a time before all times', ask({ runAt: '0000-01-01T00:00:00Z' }), 'validation_failed', ['runAt']],
    ['no type', { data: {} }, 'validation_failed', ['type']],
    ['an id with spaces', ask({ requestId: 'a b' }), 'validation_failed', ['requestId']],
    ['two times', ask({ delayMs: 5, runAt: '2030-01-01T00:00:00Z' }), 'validation_failed', ['runAt']],
    ['a null byte', ask({ data: { n: 1, text: 'a\u0000b' } }), 'validation_failed', ['data.text']],
    ['a lone surrogate', ask({ data: { n: 1, text: '\ud800' } }), 'validation_failed', ['data.text']],
    ['no object', 'hello', 'validation_failed', ['']],
  ])('is refused with its faults: %s', async (_what, body, code, paths) => {
    const error = await thrownBy(acceptor.accept('ada', body));
    expect(error).toMatchObject({ code, faults: paths.map((path) => ({ path })) });
  });
});

describe('queries', () => {
  test('give a workflow in order by pages, and nothing to others', async () => {
    const correlationId = randomUUID();
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) ids.push((await acceptor.accept('ada', ask({ correlationId }))).eventId);
    const events = createEventQueries(database);
    const first = await events.getCorrelatedEvents('ada', correlationId, { limit: 3 });
    const second = await events.getCorrelatedEvents('ada', correlationId, { limit: 3, cursor: first.nextCursor });
    expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(ids);
    expect(second.nextCursor).toBeUndefined();
    expect((await events.getCorrelatedEvents('eve', correlationId, { limit: 3 })).items).toEqual([]);
    expect(await events.find('eve', ids[0] ?? '')).toBeUndefined();
  });

  test('follow causes to all depths and end on a circle', async () => {
    const root = randomUUID();
    const child = randomUUID();
    const { eventId } = await acceptor.accept('ada', ask({ eventId: root, causationId: child }));
    await acceptor.accept('ada', ask({ eventId: child, causationId: root }));
    const grandchild = await acceptor.accept('ada', ask({ causationId: child }));
    await acceptor.accept('eve', ask({ causationId: root }));
    const { items } = await createEventQueries(database).descendants('ada', eventId, { limit: 10 });
    expect(new Map(items.map(({ id, depth }) => [id, depth]))).toEqual(
      new Map([
        [child, 1],
        [grandchild.eventId, 2],
      ]),
    );
  });
});
