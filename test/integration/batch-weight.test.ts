import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Append } from '../../src/events/store.js';
import { EventStore } from '../../src/events/store.js';
import { Finishing } from '../../src/execution/finishing.js';
import { newId } from '../../src/platform/ids.js';
import type { Runnable } from '../../src/queues/ticket.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.drop());

/** 3 MB, none of it at the top. */
const deep = { pages: Array.from({ length: 30 }, () => ({ text: 'x'.repeat(100_000) })) };

test('events that are large inside do not share a statement', async () => {
  const batches: (readonly Runnable[])[] = [];
  const store = new EventStore({ pool: database.pool, onRunnable: (batch) => batches.push(batch) });
  const event = (): Append => ({
    ...{
      id: newId(),
      type: 'probe.run.requested',
      aggregateId: 'a',
      aggregateType: 'probe',
      userId: 'ada',
      data: deep,
    },
    ...{ version: 1, source: 'api', causationId: null, correlationId: 'r', requestId: 'r' },
    ...{ priority: 10, runAt: null, handled: true, lane: null, key: null, requestHash: null },
  });
  await Promise.all([event(), event()].map((item) => store.append(item)));
  expect(batches.map((batch) => batch.length)).toEqual([1, 1]);
});

test('ends that are large do not share a statement', async () => {
  let statements = 0;
  const finishing = new Finishing({
    pool: database.pool,
    publisher: { publish: () => void statements++, ephemeral: () => undefined },
    onRunnable: () => undefined,
  });
  const end = {
    ...({ fence: 1, state: 'completed', delayMs: 0, failed: false, failure: null, result: deep } as const),
    ...{ emitted: [], notifications: [] },
  };
  const ends = await Promise.all([newId(), newId()].map((jobId) => finishing.finish({ jobId, ...end })));
  expect(ends).toEqual([null, null]);
  expect(statements).toBe(2);
});
