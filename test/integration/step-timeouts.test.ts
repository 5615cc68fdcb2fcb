import { afterEach, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { ask, startProbe, stopProbes, type Run } from '../support/probe.js';
import { eventually, within } from '../support/signals.js';

afterEach(stopProbes);

const insert = (id: string) => sql`INSERT INTO projects ("userId", id, name) VALUES ('ada', ${id}, 'x')`;

async function start(run: Run) {
  const core = await startProbe('redis', run);
  await core.start();
  const { eventId } = await core.acceptor.accept('ada', ask());
  const errors = async () =>
    (
      await core.testDatabase.pool.query<{ code: string }>(
        `SELECT error->>'code' AS code FROM failed_attempts WHERE "jobId" = $1 ORDER BY attempt`,
        [eventId],
      )
    ).rows.map(({ code }) => code);
  const projects = async () =>
    (await core.testDatabase.pool.query<{ id: string }>('SELECT id FROM projects ORDER BY id')).rows.map(
      ({ id }) => id,
    );
  return { ...core, eventId, errors, projects };
}

const untilSuccess = ({ entries }: Awaited<ReturnType<typeof start>>) =>
  entries.first(({ notification }) => notification.status === 'success', 'success');

describe('a step that takes longer than its timeout', () => {
  test('fails the attempt with step_timeout, aborts its signal, and is tried again', async () => {
    const reasons: unknown[] = [];
    const core = await start(async ({ attempt, step, notify }) => {
      await step(
        'slow',
        async ({ signal }) => {
          if (attempt > 1) return;
          await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
          reasons.push(signal.reason);
        },
        { timeoutMs: 50 },
      );
      notify.success('probe.run.completed', { attempt });
    });
    expect((await untilSuccess(core)).notification.data).toEqual({ attempt: 2 });
    expect(await core.errors()).toEqual(['step_timeout']);
    expect(reasons).toMatchObject([{ code: 'step_timeout' }]);
  });

  test('and comes to its end after all is not recorded', async () => {
    const late = Promise.withResolvers<string>();
    const seen: string[] = [];
    const core = await start(async ({ attempt, step, notify }) => {
      const output = await step('slow', async () => (attempt === 1 ? late.promise : 'second'), { timeoutMs: 50 });
      seen.push(output);
      notify.success('probe.run.completed', { output });
    });
    await untilSuccess(core);
    late.resolve('first');
    const { rows } = await core.testDatabase.pool.query('SELECT output FROM steps');
    expect({ rows, seen }).toEqual({ rows: [{ output: 'second' }], seen: ['second'] });
  });
});

describe('a transaction that takes longer than its timeout', () => {
  test('in a statement is rolled back, and its connection returns to the pool', async () => {
    const core = await start(async ({ attempt, step, notify }) => {
      await step.transaction(
        'slow',
        async (tx) => {
          await insert(`attempt-${attempt}`).execute(tx);
          if (attempt === 1) await sql`SELECT pg_sleep(60)`.execute(tx);
        },
        { timeoutMs: 300 },
      );
      notify.success('probe.run.completed', { attempt });
    });
    await untilSuccess(core);
    expect(await core.errors()).toEqual(['step_timeout']);
    expect(await core.projects()).toEqual(['attempt-2']);
    await eventually(async () => {
      const { rowCount } = await core.testDatabase.pool.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL`,
      );
      return rowCount === 0 && core.database.pool.idleCount === core.database.pool.totalCount ? true : undefined;
    }, 'no transaction to be open and every connection to be idle');
    // The limit was the transaction's own; the pool's stands again.
    const { rows } = await core.database.pool.query('SHOW statement_timeout');
    expect(rows).toEqual([{ statement_timeout: '9s' }]);
  });

  test('between statements is rolled back, and what the left-behind function still sends commits nowhere', async () => {
    const gate = Promise.withResolvers<void>();
    const refused = Promise.withResolvers<unknown>();
    const core = await start(async ({ attempt, step, notify }) => {
      await step.transaction(
        'slow',
        async (tx, { signal }) => {
          await insert(`before-${attempt}`).execute(tx);
          if (attempt > 1) return;
          signal.addEventListener('abort', () => gate.resolve());
          await gate.promise;
          // The ROLLBACK is on its way now.
          await new Promise((resolve) => setImmediate(resolve));
          await insert('after')
            .execute(tx)
            .catch((thrown: unknown) => refused.resolve(thrown));
        },
        { timeoutMs: 300 },
      );
      notify.success('probe.run.completed', { attempt });
    });
    await untilSuccess(core);
    expect(await within(refused.promise, 'the late statement to be refused')).toBeInstanceOf(Error);
    expect(await core.projects()).toEqual(['before-2']);
  });

  test('while it waits for a connection does not run at all', async () => {
    const ran: number[] = [];
    const blockers = Promise.withResolvers<void>();
    const core = await startProbe('redis', async ({ attempt, step, notify }) => {
      if (attempt === 1) await blockers.promise;
      const taken = attempt === 1 ? await Promise.all(Array.from({ length: 10 }, () => pool().connect())) : [];
      const ended = step.transaction('starved', async () => void ran.push(attempt), { timeoutMs: 100 });
      await ended.finally(() => {
        for (const client of taken) client.release();
      });
      notify.success('probe.run.completed', { attempt });
    });
    const pool = () => core.database.pool;
    await core.start();
    await core.acceptor.accept('ada', ask());
    blockers.resolve();
    await core.entries.first(({ notification }) => notification.status === 'success', 'success');
    expect(ran).toEqual([2]);
  });
});

test('an attempt that is aborted rolls its transaction back at once', async () => {
  const started = Promise.withResolvers<void>();
  const core = await start(async ({ step }) => {
    await step.transaction('open', async (tx) => {
      await insert('open').execute(tx);
      started.resolve();
      await new Promise(() => undefined);
    });
  });
  await within(started.promise, 'the transaction');
  await core.fleet.stop(10);
  await eventually(
    async () => {
      const { rowCount } = await core.testDatabase.pool.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'`,
      );
      return rowCount === 0 ? true : undefined;
    },
    'the transaction to end',
    3_000,
  );
  expect(await core.projects()).toEqual([]);
});
