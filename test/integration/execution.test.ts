import { afterEach, describe, expect, test } from '@jest/globals';
import { NonRetryableError } from '../../src/execution/retry.js';
import { createRequestQueries } from '../../src/execution/request-queries.js';
import type { QueueMode } from '../support/core.js';
import { ask, Chained, Done, startProbe, stopProbes } from '../support/probe.js';
import { eventually } from '../support/signals.js';

afterEach(stopProbes);

describe.each<QueueMode>(['postgres', 'redis'])('an accepted event (%s)', (mode) => {
  test('is executed, and its result, events and notifications are committed together', async () => {
    const {
      acceptor,
      start: run,
      entries,
      database,
      testDatabase,
    } = await startProbe(mode, async ({ event, step, emit, notify }) => {
      const doubled = await step('double', async () => event.data.n * 2);
      const sum = await step.transaction('add', async (tx) => {
        const rows = await tx.selectFrom('jobs').select('id').where('id', '=', event.id).execute();
        return doubled + rows.length;
      });
      emit(Done, { n: sum });
      emit(Chained, { n: sum });
      notify.success('probe.run.completed', { n: sum });
    });
    await run();
    const { eventId, requestId } = await acceptor.accept('ada', ask(20));

    const done = await entries.first(
      ({ notification }) => notification.type === 'probe.run.completed',
      'the notification',
    );
    expect(done.notification).toMatchObject({ status: 'success', data: { n: 41 }, requestId });
    await entries.first(
      ({ notification }) => notification.type === 'probe.echo.completed',
      'the emitted event to be handled',
    );

    const view = await createRequestQueries(database).find('ada', requestId);
    expect(view).toMatchObject({
      status: 'completed',
      attempts: 1,
      result: { n: 41 },
      error: null,
      progress: { percent: 100 },
    });
    expect(await createRequestQueries(database).find('eve', requestId)).toBeUndefined();
    const { rows } = await testDatabase.pool.query<{ type: string; correlationId: string }>(
      'SELECT type, "correlationId" FROM events WHERE "causationId" = $1 ORDER BY type',
      [eventId],
    );
    expect(rows.map(({ type }) => type)).toEqual(['probe.echo.requested', 'probe.run.completed']);
    expect(rows.every(({ correlationId }) => correlationId === requestId)).toBe(true);
  });

  test('is tried again after a failure, without running recorded steps again', async () => {
    const ran: string[] = [];
    const {
      acceptor,
      start: run,
      entries,
    } = await startProbe(mode, async ({ attempt, step, notify }) => {
      await step('first', async () => void ran.push('first'));
      if (attempt === 1) throw new Error('not yet');
      await step('second', async () => void ran.push('second'));
      notify.success('probe.run.completed', { attempt });
    });
    await run();
    await acceptor.accept('ada', ask());
    const done = await entries.first(({ notification }) => notification.status === 'success', 'success');
    expect(done.notification.data).toEqual({ attempt: 2 });
    expect(ran).toEqual(['first', 'second']);
  });

  test('is a dead letter after three failures, and its user is told once', async () => {
    const {
      acceptor,
      start: run,
      entries,
      testDatabase,
      database,
    } = await startProbe(mode, async () => {
      throw new Error('broken 4711');
    });
    await run();
    const { eventId, requestId } = await acceptor.accept('ada', ask());
    const [toUser, toRequest] = await entries.count(2, 'notifications');
    expect(new Set([toUser?.room, toRequest?.room])).toEqual(new Set([`r:ada:${requestId}`, 'u:ada']));
    expect(toUser?.notification).toMatchObject({
      type: 'probe.run.failed',
      status: 'error',
      error: { code: 'handler_failed' },
    });
    expect(JSON.stringify(toUser?.notification)).not.toContain('4711');
    const letters = await testDatabase.pool.query('SELECT * FROM dead_letters WHERE "jobId" = $1', [eventId]);
    expect(letters.rows).toMatchObject([{ state: 'open', attempts: 3, error: { message: 'broken 4711' } }]);
    expect(await createRequestQueries(database).find('ada', requestId)).toMatchObject({
      status: 'failed',
      attempts: 3,
    });
    const events = await testDatabase.pool.query(`SELECT data FROM events WHERE type = 'probe.run.failed'`);
    expect(events.rows).toMatchObject([{ data: { attempts: 3 } }]);
  });

  test('is dead at once where retrying cannot help', async () => {
    const {
      acceptor,
      start: run,
      entries,
    } = await startProbe(mode, async () => {
      throw new NonRetryableError('probe_not_found', 'There is no such probe.');
    });
    await run();
    await acceptor.accept('ada', ask());
    const [first] = await entries.count(1, 'notification');
    expect(first?.notification).toMatchObject({
      error: { code: 'probe_not_found', message: 'There is no such probe.' },
      data: { attempts: 1 },
    });
  });

  test('that the fast path left behind is dispatched from the outbox', async () => {
    const {
      acceptor,
      start: run,
      entries,
      testDatabase,
    } = await startProbe(mode, async ({ notify }) => notify.success('probe.run.completed', {}), {
      withFastPath: false,
    });
    await run();
    await acceptor.accept('ada', ask());
    await entries.count(2, 'notifications');
    await eventually(async () => {
      const { rows } = await testDatabase.pool.query<{ n: number }>('SELECT count(*)::int AS n FROM outbox');
      return rows[0]?.n === 0 ? true : undefined;
    }, 'an empty outbox');
  });

  test('with a delay waits for its time', async () => {
    const {
      acceptor,
      start: run,
      entries,
      database,
    } = await startProbe(mode, async ({ notify }) => notify.success('probe.run.completed', {}));
    await run();
    const before = Date.now();
    const { requestId } = await acceptor.accept('ada', ask(1, { delayMs: 300 }));
    expect(await createRequestQueries(database).find('ada', requestId)).toMatchObject({
      status: 'pending',
      attempts: 0,
    });
    await entries.count(1, 'notification');
    expect(Date.now() - before).toBeGreaterThanOrEqual(300);
  });
});

describe('the fence', () => {
  test('an attempt whose job was taken over can commit neither a step nor its end', async () => {
    const gate = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    const outcomes: unknown[] = [];
    const {
      acceptor,
      start: run,
      testDatabase,
      entries,
    } = await startProbe('redis', async ({ attempt, step, notify }) => {
      if (attempt === 1) {
        started.resolve();
        await gate.promise;
        await step
          .transaction('effect', async (tx) => {
            await tx
              .insertInto('projects')
              .values({ userId: 'ada', id: 'p', name: `attempt ${attempt}` })
              .execute();
          })
          .catch((error: unknown) => {
            outcomes.push(error);
            throw error;
          });
      }
      notify.success('probe.run.completed', { attempt });
    });
    await run();
    const { eventId } = await acceptor.accept('ada', ask());
    await started.promise;
    // What a claim by another worker does once this one's heartbeat is over.
    await testDatabase.pool.query('UPDATE jobs SET fence = fence + 1 WHERE id = $1', [eventId]);
    gate.resolve();
    await eventually(async () => (outcomes.length > 0 ? true : undefined), 'the step to be refused');
    expect(outcomes).toMatchObject([{ code: 'fence_lost' }]);
    const { rows } = await testDatabase.pool.query('SELECT * FROM projects');
    expect(rows).toEqual([]);
    expect(entries.items).toEqual([]);
  });
});
