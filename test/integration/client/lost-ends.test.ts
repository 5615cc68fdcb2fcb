import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createSynapClient } from '../../../src/client/index.js';
import { createTokens } from '../../../src/platform/tokens.js';
import type { WireNotification } from '../../../src/realtime/contract.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { freePort } from '../../support/ports.js';
import { Collected, within } from '../../support/signals.js';
import { startSynap, testApiKey, testJwtSecret } from '../../support/synap.js';

// A request that ended while its client was away for longer than its notifications were kept.

const tokens = createTokens(testJwtSecret);
let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

async function say(url: string, room: string, userId: string): Promise<void> {
  const headers = { 'X-API-Key': testApiKey, 'Content-Type': 'application/json' };
  const body = JSON.stringify({ userId, type: 'lunch.is.ready', status: 'success', data: {} });
  expect((await fetch(`${url}/rooms/${room}/broadcast`, { method: 'POST', headers, body })).status).toBe(200);
}

/** What happens to it while nobody looks: it is completed, and retention takes its notifications. */
async function endUnheard(requestId: string): Promise<void> {
  const { pool } = database;
  const of = [requestId];
  await pool.query(`DELETE FROM outbox WHERE "jobId" IN (SELECT id FROM jobs WHERE "requestId" = $1)`, of);
  await pool.query(
    `UPDATE jobs SET state = 'completed', result = '{"title": "Hello"}', "finishedAt" = now() WHERE "requestId" = $1`,
    of,
  );
  const room = `r:%:${requestId}`;
  await pool.query(`DELETE FROM room_entries WHERE room LIKE $1`, [room]);
  await pool.query(`UPDATE rooms SET "lastSeq" = "lastSeq" + 2, "publishedSeq" = "lastSeq" + 2 WHERE key LIKE $1`, [
    room,
  ]);
}

test.each(['socket', 'stream'] as const)(
  'over a %s, whoever waits for it hears from the server how it ended',
  async (transport) => {
    const user = `away-${transport}`;
    const env = { PORT: String(await freePort()) };
    const url = `http://127.0.0.1:${env.PORT}`;
    const first = await startSynap({ databaseUrl: database.url, env });
    const token = () => tokens.mint(user, { expiresInSeconds: 600 });
    const client = createSynapClient({ url, token, transport, reconnect: { delayMs: 20 } });
    try {
      const runAt = new Date(Date.now() + 3_600_000).toISOString();
      const { requestId, accepted } = client.send({
        type: 'note.creation.requested',
        data: { title: 'Hello', content: 'x' },
        runAt,
      });
      const heard = new Collected<WireNotification>();
      const room = client.subscribe(`request_${requestId}`, { onNotification: heard.add });
      await within(Promise.all([accepted, room.ready]), 'the 202');
      const end = client.waitFor(requestId);
      await say(url, `request_${requestId}`, user);
      await heard.count(1, 'broadcast');
      expect(client.request(requestId).get()).toMatchObject({
        status: 'accepted',
        notifications: [{ type: 'lunch.is.ready' }],
      });
      await first.kill();
      await endUnheard(requestId);
      const second = await startSynap({ databaseUrl: database.url, env });
      try {
        const told = { type: 'request.completed', status: 'success', data: { title: 'Hello' } };
        expect(await within(end, 'the end', 20_000)).toMatchObject(told);
        expect(client.request(requestId).get()).toMatchObject({ status: 'completed', result: { title: 'Hello' } });
      } finally {
        client.close();
        await second.stop();
      }
    } finally {
      client.close();
      await first.stop();
    }
  },
  90_000,
);
