import { afterEach, expect, test } from '@jest/globals';
import { newId } from '../../src/platform/ids.js';
import { meanwhile } from '../support/locks.js';
import { ask, startProbe, stopProbes } from '../support/probe.js';

afterEach(stopProbes);

test('a job that another worker is claiming right now is held: it is neither waited for nor claimed twice', async () => {
  const { acceptor, registry, claims, fastPath, testDatabase } = await startProbe('redis', async () => undefined);
  await registry.start();
  const { eventId } = await acceptor.accept('ada', ask());
  await fastPath.drain();
  await meanwhile(testDatabase.pool, async (other) => {
    // What its claim has done, up to the commit.
    const workerId = newId();
    await other.query(`INSERT INTO workers (id, hostname, pid) VALUES ($1, 'another', 1)`, [workerId]);
    await other.query(`UPDATE jobs SET state = 'running', "workerId" = $1, fence = fence + 1 WHERE id = $2`, [
      workerId,
      eventId,
    ]);
    expect(await claims.claim(eventId, 1)).toEqual({ kind: 'held' });
    await other.query('COMMIT');
  });
  expect(await claims.claim(eventId, 1)).toEqual({ kind: 'held' });
  const { rows } = await testDatabase.pool.query('SELECT fence FROM jobs WHERE id = $1', [eventId]);
  expect(rows).toEqual([{ fence: 1 }]);
});
