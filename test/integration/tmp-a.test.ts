import { expect, test } from '@jest/globals';
import { createTestDatabase } from '../support/database.js';
import { redisUrl, createRedisPrefix, startRedis } from '../support/redis.js';
import { startSynap } from '../support/synap.js';
import { launchBrowser } from '../support/chromium.js';
test('single', async () => {
  const db = await createTestDatabase();
  const s = await startSynap({ databaseUrl: db.url });
  const r = await fetch(`${s.url}/ready`);
  expect(r.status).toBe(200);
  expect(await s.stop()).toBe(0);
  await db.drop();
});
test('redis roles', async () => {
  const db = await createTestDatabase();
  const env = { QUEUE_PREFIX: createRedisPrefix() };
  const api = await startSynap({ databaseUrl: db.url, redisUrl: redisUrl(), roles: ['api', 'dispatcher'], env });
  const worker = await startSynap({ databaseUrl: db.url, redisUrl: redisUrl(), roles: ['worker'], env });
  expect(await api.stop()).toBe(0);
  expect(await worker.stop()).toBe(0);
  await db.drop();
});
test('bad', async () => {
  await expect(startSynap({ databaseUrl: 'postgresql://a:b@127.0.0.1:1/x' })).rejects.toThrow(/ECONNREFUSED/);
});
test('browser', async () => {
  const b = await launchBrowser();
  const p = await b.newPage();
  await p.setContent('<h1>hi</h1>');
  expect(await p.textContent('h1')).toBe('hi');
  await b.close();
});
test('own redis', async () => {
  const r = await startRedis(); await r.kill(); const r2 = await startRedis({ port: r.port }); await r2.stop(); await r2.stop();
});
