import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { itemsOf, startAdmin, type TestAdmin } from '../support/admin.js';
import { runLine } from '../support/cli.js';
import { dayMs, RetentionKit } from '../support/retention.js';
import { testApiKey } from '../support/synap.js';

let kit: RetentionKit;
let own: TestAdmin;
/** Closed 100 days ago: the one's event is still there, of the other only the letter. */
let withEvent: string;
let alone: string;

beforeAll(async () => {
  kit = await RetentionKit.start();
  const closed = { state: 'dead', deadLetter: 'discarded' } as const;
  withEvent = await kit.addJob({ ...closed, days: 100, steps: 1 });
  alone = await kit.addJob({ ...closed, days: 200, steps: 1 });
  const retention = () => kit.retention({ eventsMs: 150 * dayMs });
  // The event goes when its job has gone.
  await kit.prune(retention());
  await kit.prune(retention());
  own = await startAdmin({ databaseUrl: kit.url });
});
afterAll(async () => {
  await own.api.close();
  await kit.end();
});

const cli = (...line: string[]) =>
  runLine([...line, '--url', own.api.url], {
    environment: { API_KEY: testApiKey, SYNAP_DIR: '/nowhere', NO_COLOR: '1' },
  });

test('retention takes the job of a closed dead letter, and at its own age the event', async () => {
  expect(await kit.query('SELECT id FROM jobs')).toEqual([]);
  expect(await kit.query('SELECT id FROM events')).toEqual([{ id: withEvent }]);
});

describe('a dead letter that has outlived its job', () => {
  test('is in the list, also without its event', async () => {
    const answer = await own.get('/dead-letters?state=discarded');
    const letter = { type: 'probe.run.requested', userId: 'ada', attempts: 3, fingerprint: 'f' };
    expect(itemsOf(answer)).toMatchObject([
      { jobId: withEvent, ...letter, acceptedAt: expect.any(String), aggregateId: 'a', requestId: 'req' },
      { jobId: alone, ...letter, acceptedAt: null, aggregateId: null, requestId: null, correlationId: null },
    ]);
    expect(itemsOf(await own.get('/dead-letters?state=open'))).toEqual([]);
  });

  test('counts in the groups', async () => {
    const answer = await own.get('/dead-letters/groups?state=all');
    expect(itemsOf(answer)).toMatchObject([{ fingerprint: 'f', count: 2, jobId: withEvent }]);
  });

  test('is shown, with null for what is gone', async () => {
    const kept = {
      status: 200,
      body: { state: 'discarded', job: null, correction: null, steps: [], failedAttempts: [] },
    };
    const [one, other] = [await own.get(`/dead-letters/${withEvent}`), await own.get(`/dead-letters/${alone}`)];
    expect(one).toMatchObject(kept);
    expect(one.body).toMatchObject({ payload: {}, requestId: 'req' });
    expect(other).toMatchObject(kept);
    expect(other.body).toMatchObject({ payload: null, requestId: null, error: {}, diedAt: expect.any(String) });
  });

  test('cannot be dealt with any more, and says why', async () => {
    for (const id of [withEvent, alone]) {
      for (const answer of [
        await own.post(`/dead-letters/${id}/replay`, { force: true }),
        await own.post(`/dead-letters/${id}/discard`, { reason: 'x' }),
        await own.call('PUT', `/dead-letters/${id}/payload`, { data: null }),
      ]) {
        expect(answer.status).toBe(409);
        expect(answer.headers.get('content-type')).toContain('application/problem+json');
        expect(answer.body).toMatchObject({ code: 'job_expired', detail: expect.stringContaining('discarded') });
      }
      expect(await own.actsOn(id)).toEqual([]);
    }
  });

  test('is on the command line as in the API', async () => {
    expect((await cli('dead', 'list', '--state', 'discarded')).out).toMatch(
      new RegExp(`^${withEvent} .*ada {2}discarded\\n.*\\n${alone} .*ada {2}discarded\\n`),
    );
    const shown = await cli('dead', 'show', withEvent);
    expect([shown.code, shown.err]).toEqual([0, '']);
    expect(shown.out).toMatch(/discarded, job deleted\n[^]* request +req\n[^]* accepted +2[^]*Payload\n {2}\{\}\n$/);
    const { code, out } = await cli('dead', 'show', alone);
    expect([code, out]).toEqual([
      0,
      expect.stringMatching(/job deleted\n[^]*Payload\n {2}Retention has deleted the event/),
    ]);
    expect(out).not.toMatch(/null| request | accepted | aggregate /);
    const replayed = await cli('dead', 'replay', alone);
    expect([replayed.code, replayed.err]).toEqual([
      1,
      expect.stringMatching(/\(job_expired\)\n[^]*send the event anew/),
    ]);
  });

  test('does not pass for what another user has made under its id since', async () => {
    await kit.addJob({ id: alone, state: 'queued' });
    await kit.query(`UPDATE events SET "userId" = 'eve' WHERE id = $1`, [alone]);
    await kit.query(`UPDATE jobs SET "userId" = 'eve' WHERE id = $1`, [alone]);
    expect((await own.get(`/dead-letters/${alone}`)).body).toMatchObject({ userId: 'ada', payload: null, job: null });
  });
});
