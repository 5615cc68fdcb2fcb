import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { io } from 'socket.io-client';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { knock, PollingClient } from '../support/engine.js';
import { nextEvent } from '../support/signals.js';
import { startSynap, testJwtSecret, type SynapProcess } from '../support/synap.js';
import { createTokens } from '../../src/platform/tokens.js';

let database: TestDatabase;
let synap: SynapProcess;
beforeAll(async () => {
  database = await createTestDatabase();
  synap = await startSynap({ databaseUrl: database.url, env: { SHUTDOWN_DELAY_MS: '1500', SOCKET_DRAIN_MS: '2000' } });
}, 60_000);
afterAll(async () => {
  await synap.stop();
  await database.drop();
});

test('at SIGTERM readiness fails first, then sockets are sent elsewhere, and the process ends in order', async () => {
  const token = await createTokens(testJwtSecret).mint('ada', { expiresInSeconds: 60 });
  const socket = io(synap.url, { auth: { token }, transports: ['websocket'] });
  await nextEvent(socket as never, 'ready');
  const polling = new PollingClient(synap.url);
  await polling.connect(token);
  const closing = nextEvent<unknown>(socket as never, 'closing');
  const reason = nextEvent<string>(socket as never, 'disconnect');
  const polled = polling.poll();
  expect((await fetch(`${synap.metricsUrl}/ready`)).status).toBe(200);

  const stopped = synap.stop();
  await synap.logs.first(({ msg }) => msg === 'stopping', 'the signal to be seen');
  expect((await fetch(`${synap.metricsUrl}/ready`)).status).toBe(503);
  // Who has not heard of it yet is still served.
  expect((await knock(synap.url, 'polling')).status).toBe(200);

  expect(await closing).toMatchObject({ code: 'draining' });
  expect(await reason).toBe('transport close');
  expect(socket.active).toBe(true);
  socket.close();
  expect(await polled).toContain('draining');
  expect(await stopped).toBe(0);
}, 60_000);
