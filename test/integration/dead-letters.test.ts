import { afterEach, describe, expect, test } from '@jest/globals';
import { JobAdministration } from '../../src/execution/administration.js';
import { Corrections } from '../../src/execution/corrections.js';
import { createDeadLetterQueries } from '../../src/execution/dead-letter-queries.js';
import type { DeadLetterDetail } from '../../src/execution/dead-letters.js';
import { NonRetryableError } from '../../src/execution/retry.js';
import { newId } from '../../src/platform/ids.js';
import type { QueueMode } from '../support/core.js';
import { createTestDatabase } from '../support/database.js';
import { seedJob } from '../support/operations.js';
import { ask, startProbe, stopProbes, type Run } from '../support/probe.js';
import { createRedisPrefix, redisUrl } from '../support/redis.js';
import { eventually } from '../support/signals.js';
import { startSynap, testApiKey } from '../support/synap.js';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  await stopProbes();
});

async function startLetters(mode: QueueMode, run: Run) {
  const core = await startProbe(mode, run);
  await core.start();
  return { core, letters: createDeadLetterQueries(core.database) };
}

/** A core with the operators' part, and a job of it that has died. */
async function startDead(mode: QueueMode, run: Run) {
  const { core, letters } = await startLetters(mode, run);
  const { database, catalogue, fastPath, acceptor, entries } = core;
  const publisher = { publish: () => undefined, ephemeral: () => undefined };
  const administration = new JobAdministration({ database, publisher, onRunnable: fastPath.offer });
  const { eventId } = await acceptor.accept('ada', ask(1));
  /** The letter when the job has died for the n-th time, and its queue has heard. */
  const death = (nth: number): Promise<DeadLetterDetail> =>
    eventually(async () => {
      const letter = await letters.find(eventId);
      return letter?.state === 'open' && letter.replays === nth - 1 ? letter : undefined;
    }, `death ${nth}`);
  const completion = () =>
    entries.first(({ notification }) => notification.status === 'success', 'the job to complete');
  return { core, administration, corrections: new Corrections({ database, catalogue }), eventId, death, completion };
}

describe.each<QueueMode>(['redis', 'postgres'])('a job that died (%s)', (mode) => {
  test('has the error, the worker and the time of every attempt, over all replays; attempts count on, failures from zero', async () => {
    const { core, administration, eventId, death } = await startDead(mode, ({ attempt }) =>
      Promise.reject(new Error(`attempt ${attempt} broke`)),
    );
    const first = await death(1);
    expect(first).toMatchObject({ attempts: 3, replays: 0, job: { failures: 3 } });
    await administration.replay(eventId, { actor: 'olga', mode: 'resume' });
    const { failedAttempts, job, history, fingerprint } = await death(2);
    expect(failedAttempts.map(({ attempt, error }) => [attempt, error.message])).toEqual(
      [6, 5, 4, 3, 2, 1].map((n) => [n, `attempt ${n} broke`]),
    );
    for (const { workerId, failedAt } of failedAttempts) {
      expect([workerId, failedAt]).toEqual([core.registry.id, expect.any(Date)]);
    }
    expect(job).toMatchObject({ failures: 3, generation: 2 });
    expect(history).toMatchObject([{ action: 'replayed', actor: 'olga' }]);
    expect(fingerprint).toBe(first.fingerprint);
  });

  test('keeps its steps when it is resumed, and drops them when it is restarted', async () => {
    const ran: number[] = [];
    let isMended = false;
    const { administration, eventId, death, completion } = await startDead(mode, async ({ attempt, step, notify }) => {
      await step('upload', async () => void ran.push(attempt));
      if (attempt < 7 || !isMended) throw new Error('broken');
      notify.success('probe.run.completed', {});
    });
    await death(1);
    await administration.replay(eventId, { actor: 'olga', mode: 'resume' });
    await death(2);
    expect(ran).toEqual([1]);
    isMended = true;
    await administration.replay(eventId, { actor: 'olga', mode: 'restart' });
    await completion();
    expect(ran).toEqual([1, 7]);
  });

  test('gets its correction at the next replay, and at every attempt of it; its event stays as it is', async () => {
    const seen: number[] = [];
    const { core, administration, corrections, eventId, death, completion } = await startDead(
      mode,
      async ({ event, notify }) => {
        seen.push(event.data.n);
        if (event.data.n !== 2 || seen.length < 5) throw new Error('broken');
        notify.success('probe.run.completed', {});
      },
    );
    await death(1);
    await corrections.set(eventId, { n: 2 }, { actor: 'olga' });
    await administration.replay(eventId, { actor: 'olga', mode: 'resume' });
    await completion();
    expect(seen).toEqual([1, 1, 1, 2, 2]);
    const { rows } = await core.testDatabase.pool.query('SELECT data FROM events WHERE id = $1', [eventId]);
    expect(rows).toEqual([{ data: { n: 1 } }]);
  });
});

test('a letter whose id has come to be another user’s is theirs when their job dies', async () => {
  const eventId = newId();
  const { core, letters } = await startLetters('redis', () =>
    Promise.reject(new NonRetryableError('broken', 'broken')),
  );
  await core.testDatabase.pool.query(
    `INSERT INTO dead_letters ("jobId", queue, "userId", state, generation, attempts, fingerprint, error, "resolvedAt")
     VALUES ($1, 'note.creation.requested', 'eve', 'discarded', 1, 3, 'f', '{}', now())`,
    [eventId],
  );
  await core.acceptor.accept('ada', ask(1, { eventId }));
  const open = async () => {
    const letter = await letters.find(eventId);
    return letter?.state === 'open' ? letter : undefined;
  };
  expect(await eventually(open, 'the death')).toMatchObject({
    userId: 'ada',
    type: 'probe.run.requested',
    payload: { n: 1 },
  });
});

describe('an operation on many', () => {
  test('goes on in the next process when the one that worked at it was killed, and replays nothing twice', async () => {
    const database = await createTestDatabase();
    cleanups.push(() => database.drop());
    const died = `now() - interval '1 second'`;
    for (let n = 0; n < 8; n++) await seedJob(database, { state: 'dead', letter: { diedAt: died } });
    const env = { QUEUE_PREFIX: createRedisPrefix() };
    const options = { databaseUrl: database.url, redisUrl: redisUrl() };
    const api = await startSynap({ ...options, roles: ['api'], env });
    cleanups.push(() => api.stop());
    const dispatcher = (fault = {}) => startSynap({ ...options, roles: ['dispatcher'], env: { ...env, ...fault } });
    const doomed = await dispatcher({ FAULT_POINT: 'bulk.acted:kill@3' });
    cleanups.push(() => doomed.kill());

    const headers = { 'X-API-Key': testApiKey, 'Content-Type': 'application/json' };
    const answer = await fetch(`${api.url}/v1/admin/dead-letters/replay`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ filter: {}, ratePerSecond: 1_000 }),
    });
    const { id } = (await answer.json()) as { id: string };
    const look = async () => {
      const found = await fetch(`${api.url}/v1/admin/operations/${id}`, { headers });
      return (await found.json()) as { state: string; done: number; skipped: number };
    };
    await eventually(async () => ((await isGone(doomed.metricsUrl)) ? true : undefined), 'the kill');
    expect(await look()).toMatchObject({ state: 'running', done: 3, skipped: 0 });

    const successor = await dispatcher();
    cleanups.push(() => successor.stop());
    await eventually(async () => ((await look()).state === 'completed' ? true : undefined), 'the end');
    expect(await look()).toMatchObject({ done: 8, skipped: 0 });
    const { rows } = await database.pool.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM jobs j JOIN dead_letters d ON d."jobId" = j.id WHERE j.generation = 2 AND d.replays = 1`,
    );
    expect(rows).toEqual([{ n: 8 }]);
  }, 60_000);
});

const isGone = (url: string): Promise<boolean> =>
  fetch(`${url}/live`).then(
    () => false,
    () => true,
  );
