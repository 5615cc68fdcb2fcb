import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { EventAcceptor } from '../../src/events/acceptor.js';
import { EventCatalogue } from '../../src/events/catalogue.js';
import { defineEvent } from '../../src/events/definition.js';
import { EventStore } from '../../src/events/store.js';
import { systemClock } from '../../src/platform/clock.js';
import { readConfig } from '../../src/platform/config.js';
import { createDatabase, type Database } from '../../src/platform/database.js';
import { SynapError } from '../../src/platform/errors.js';
import { createLogger } from '../../src/platform/logger.js';
import { createMetrics } from '../../src/platform/metrics.js';
import type { Runnable } from '../../src/queues/ticket.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { meanwhile, somebodyWaits } from '../support/locks.js';

const Handled = defineEvent({
  type: 'probe.run.requested',
  aggregateType: 'probe',
  origin: 'client',
  data: z.object({ n: z.number(), text: z.string().max(1_000).optional() }),
});
const catalogue = new EventCatalogue([Handled], [{ on: Handled }]);

let testDatabase: TestDatabase;
let database: Database;
let acceptor: EventAcceptor;
/** Another process on the same database. */
let other: EventAcceptor;
let runnable: Runnable[] = [];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  const config = readConfig({ NODE_ENV: 'test', LOG_LEVEL: 'silent', DB_POOL_MIN: '0' });
  database = createDatabase(testDatabase.url, config.database, createLogger({ level: 'silent', pretty: false }));
  const { pool } = database;
  [acceptor, other] = [startAcceptor(), startAcceptor()];

  function startAcceptor(): EventAcceptor {
    const store = new EventStore({ pool, onRunnable: (jobs) => runnable.push(...jobs) });
    return new EventAcceptor({ catalogue, store, clock: systemClock, metrics: createMetrics('synap_') });
  }
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

describe('an idempotency key', () => {
  test('answers the same for the same body, with one event, however many send it at once', async () => {
    const idempotencyKey = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => acceptor.accept('ada', ask({ requestId: 'same' }), { idempotencyKey })),
    );
    const again = await acceptor.accept('ada', ask({ requestId: 'same' }), { idempotencyKey });
    expect(new Set([...answers, again].map(({ eventId }) => eventId)).size).toBe(1);
    expect(await count('events', `"requestId" = 'same'`)).toBe(1);
    expect(runnable).toHaveLength(1);
  });

  test('with another body is refused', async () => {
    const idempotencyKey = randomUUID();
    await acceptor.accept('ada', ask(), { idempotencyKey });
    expect(await thrownBy(acceptor.accept('ada', ask({ data: { n: 2 } }), { idempotencyKey }))).toMatchObject({
      code: 'idempotency_key_reused',
    });
  });

  test('belongs to its user', async () => {
    const idempotencyKey = randomUUID();
    const one = await acceptor.accept('ada', ask(), { idempotencyKey });
    const hers = await acceptor.accept('eve', ask({ data: { n: 2 } }), { idempotencyKey });
    expect(hers.eventId).not.toBe(one.eventId);
  });

  test('does not mind the order of keys', async () => {
    const idempotencyKey = randomUUID();
    const one = await acceptor.accept(
      'ada',
      { type: 'probe.run.requested', data: { n: 1, text: 'a' } },
      { idempotencyKey },
    );
    const again = await acceptor.accept(
      'ada',
      { data: { text: 'a', n: 1 }, type: 'probe.run.requested' },
      { idempotencyKey },
    );
    expect(again).toEqual(one);
  });

  test('is not used up by a body that is refused, nor by one that loses its event id at the last moment', async () => {
    const eventId = randomUUID();
    await acceptor.accept('eve', ask({ eventId }));
    const first = randomUUID();
    expect(await thrownBy(acceptor.accept('ada', ask({ eventId }), { idempotencyKey: first }))).toMatchObject({
      code: 'event_id_taken',
    });
    await acceptor.accept('ada', ask({ data: { n: 2 } }), { idempotencyKey: first });

    const late = randomUUID();
    const second = randomUUID();
    await meanwhile(testDatabase.pool, async (eve) => {
      await eve.query(
        `INSERT INTO events (id, type, "aggregateId", "aggregateType", "userId", data, source, "correlationId", "requestId")
         VALUES ($1, 'probe.run.requested', 'a', 'probe', 'eve', '{}', 'api', 'r', 'r')`,
        [late],
      );
      const refused = thrownBy(acceptor.accept('ada', ask({ eventId: late }), { idempotencyKey: second }));
      await somebodyWaits(testDatabase.pool);
      await eve.query('COMMIT');
      expect(await refused).toMatchObject({ code: 'event_id_taken' });
    });
    await acceptor.accept('ada', ask({ data: { n: 2 } }), { idempotencyKey: second });
  });

  test('in one batch of statements with one that is refused goes to the next that sends it', async () => {
    const eventId = randomUUID();
    await acceptor.accept('eve', ask({ eventId }));
    const idempotencyKey = randomUUID();
    const [refused, accepted] = await Promise.all([
      thrownBy(acceptor.accept('ada', ask({ eventId }), { idempotencyKey })),
      acceptor.accept('ada', ask({ data: { n: 2 } }), { idempotencyKey }),
    ]);
    expect(refused).toBeInstanceOf(SynapError);
    expect(await count('events', `id = '${accepted.eventId}'`)).toBe(1);
  });

  test('in two processes at once makes one event and one answer, every time', async () => {
    for (let round = 0; round < 40; round++) {
      const idempotencyKey = randomUUID();
      const requestId = `round-${round}`;
      const answers = await Promise.all(
        [acceptor, other, acceptor, other].map((one) => one.accept('ada', ask({ requestId }), { idempotencyKey })),
      );
      expect(new Set(answers.map(({ eventId }) => eventId)).size).toBe(1);
      expect(await count('events', `"requestId" = '${requestId}'`)).toBe(1);
      expect(await count('jobs', `"requestId" = '${requestId}'`)).toBe(1);
    }
  });

  test('with two bodies in two processes at once goes to one of them', async () => {
    for (let round = 0; round < 20; round++) {
      const idempotencyKey = randomUUID();
      const answers = await Promise.allSettled([
        acceptor.accept('ada', ask(), { idempotencyKey }),
        other.accept('ada', ask({ data: { n: 2 } }), { idempotencyKey }),
      ]);
      expect(answers.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    }
  });

  test('counts as new when it is too old, although nobody has pruned it', async () => {
    const idempotencyKey = randomUUID();
    const old = await acceptor.accept('ada', ask(), { idempotencyKey });
    const age = (ms: number) =>
      testDatabase.pool.query(
        `UPDATE idempotency_keys SET "createdAt" = now() - $2 * interval '1 millisecond' WHERE key = $1`,
        [idempotencyKey, ms],
      );
    await age(86_000_000);
    expect(await acceptor.accept('ada', ask(), { idempotencyKey })).toEqual(old);
    await age(86_500_000);
    const bodies = [ask({ data: { n: 2 } }), ask({ data: { n: 3 } })];
    const answers = await Promise.allSettled([
      acceptor.accept('ada', bodies[0], { idempotencyKey }),
      other.accept('ada', bodies[1], { idempotencyKey }),
    ]);
    const winner = answers.findIndex(({ status }) => status === 'fulfilled');
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await acceptor.accept('ada', bodies[winner], { idempotencyKey })).not.toEqual(old);
    expect(await count('idempotency_keys', `key = '${idempotencyKey}'`)).toBe(1);
  });

  test('of a batch is refused for another batch in every place, a longer and a shorter one too', async () => {
    const idempotencyKey = randomUUID();
    const bodies = [ask(), ask({ data: { n: 2 } })];
    await acceptor.acceptAll('ada', bodies, { idempotencyKey });
    const before = await count('events');
    for (const changed of [[...bodies, ask({ data: { n: 3 } })], bodies.slice(0, 1), bodies.toReversed()]) {
      const answers = await acceptor.acceptAll('ada', changed, { idempotencyKey });
      expect(answers.map((answer) => ('code' in answer ? answer.code : 'accepted'))).toEqual(
        changed.map(() => 'idempotency_key_reused'),
      );
    }
    expect(await count('events')).toBe(before);
  });

  test('of a batch in two processes at once goes to one of two batches, as a whole', async () => {
    for (let round = 0; round < 20; round++) {
      const idempotencyKey = randomUUID();
      const answers = await Promise.all([
        acceptor.acceptAll('ada', [ask(), ask({ data: { n: 2 } })], { idempotencyKey }),
        other.acceptAll('ada', [ask(), ask({ data: { n: 2 } }), ask({ data: { n: 3 } })], { idempotencyKey }),
      ]);
      const whole = answers.map((items) => new Set(items.map((item) => ('code' in item ? item.code : 'accepted'))));
      expect(whole.map((kinds) => [...kinds].join(' ')).toSorted()).toEqual(['accepted', 'idempotency_key_reused']);
    }
  });

  test('of a batch of which nothing can be accepted is not used', async () => {
    const idempotencyKey = randomUUID();
    await acceptor.acceptAll('ada', [{ type: 'nothing.known' }], { idempotencyKey });
    const [answer] = await acceptor.acceptAll('ada', [ask()], { idempotencyKey });
    expect(answer).toHaveProperty('eventId');
  });

  test('of a batch stands for the whole of it, also where a place was refused before', async () => {
    const idempotencyKey = randomUUID();
    const bodies = [ask(), ask({ data: { n: 2 } })];
    const refused = new Map([[1, new SynapError('rate_limited', 'too many')]]);
    const [first, second] = await acceptor.acceptAll('ada', bodies, { idempotencyKey, refused });
    expect(second).toMatchObject({ code: 'rate_limited' });
    const again = await acceptor.acceptAll('ada', bodies, { idempotencyKey });
    expect(again).toEqual([first, expect.objectContaining({ eventId: expect.any(String) })]);
  });

  test('counts per item of a batch', async () => {
    const idempotencyKey = randomUUID();
    const bodies = [ask(), { type: 'nothing.known', data: {} }, ask({ data: { n: 2 } })];
    const first = await acceptor.acceptAll('ada', bodies, { idempotencyKey });
    const second = await acceptor.acceptAll('ada', bodies, { idempotencyKey });
    expect(first.map((item) => ('eventId' in item ? 'accepted' : item.code))).toEqual([
      'accepted',
      'unknown_event_type',
      'accepted',
    ]);
    expect(second.map((item) => ('eventId' in item ? item.eventId : item.code))).toEqual(
      first.map((item) => ('eventId' in item ? item.eventId : item.code)),
    );
  });
});

describe("a client's own event id", () => {
  test('makes the call repeatable for its user and is taken for everybody else', async () => {
    const eventId = randomUUID();
    const first = await acceptor.accept('ada', ask({ eventId }));
    expect(await acceptor.accept('ada', ask({ eventId }))).toEqual(first);
    expect(await thrownBy(acceptor.accept('eve', ask({ eventId })))).toMatchObject({ code: 'event_id_taken' });
    expect(await thrownBy(acceptor.accept('ada', ask({ eventId, data: { n: 9 } })))).toMatchObject({
      code: 'event_id_taken',
    });
    const key = randomUUID();
    expect(await thrownBy(acceptor.accept('eve', ask({ eventId }), { idempotencyKey: key }))).toMatchObject({
      code: 'event_id_taken',
    });
    expect(await thrownBy(acceptor.accept('eve', ask({ eventId }), { idempotencyKey: key }))).toMatchObject({
      code: 'event_id_taken',
    });
    expect(await count('events', `id = '${eventId}'`)).toBe(1);
  });
});
