import { afterEach, describe, expect, test } from '@jest/globals';
import type { TestDatabase } from '../support/database.js';
import { ask, startProbe, stopProbes } from '../support/probe.js';

afterEach(stopProbes);

/** The next `times` times that a job is to become `state`, Postgres answers with `sqlState` instead. Sequences do not roll back. */
async function refuse(database: TestDatabase, state: string, sqlState: string, times: number): Promise<void> {
  await database.pool.query(`
    CREATE SEQUENCE refusals;
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NEW.state = '${state}' AND nextval('refusals') <= ${times} THEN
        RAISE EXCEPTION 'refused' USING ERRCODE = '${sqlState}';
      END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION refuse();`);
}

describe('an attempt whose end finds Postgres away', () => {
  test('ends when Postgres is back, without being run again', async () => {
    let runs = 0;
    const {
      acceptor,
      start: run,
      entries,
      testDatabase,
    } = await startProbe('redis', async ({ notify }) => {
      runs++;
      notify.success('probe.run.completed', {});
    });
    await refuse(testDatabase, 'completed', '57P01', 3);
    await run();
    await acceptor.accept('ada', ask());
    await entries.count(2, 'notifications');
    expect(runs).toBe(1);
  });

  test('is a failure where Postgres refuses what it would store', async () => {
    const {
      acceptor,
      start: run,
      entries,
      testDatabase,
    } = await startProbe('redis', async ({ attempt, notify }) => notify.success('probe.run.completed', { attempt }));
    await refuse(testDatabase, 'completed', '23514', 1);
    await run();
    await acceptor.accept('ada', ask());
    const [first] = await entries.count(2, 'notifications');
    expect(first?.notification.data).toEqual({ attempt: 2 });
    const { rows } = await testDatabase.pool.query('SELECT failures FROM jobs');
    expect(rows).toEqual([{ failures: 1 }]);
  });

  test('leaves a job that its own worker takes again, although that worker lives', async () => {
    const { acceptor, registry, claims, fastPath } = await startProbe('redis', async () => undefined);
    await registry.start();
    const { eventId } = await acceptor.accept('ada', ask());
    await fastPath.drain();
    expect(await claims.claim(eventId, 1)).toMatchObject({ kind: 'claimed', fence: 1 });
    expect(await claims.claim(eventId, 1)).toEqual({ kind: 'held' });
    claims.release(eventId);
    expect(await claims.claim(eventId, 1)).toMatchObject({ kind: 'claimed', fence: 2 });
    claims.release(eventId);
  });
});
