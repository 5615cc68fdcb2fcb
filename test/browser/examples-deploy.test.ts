import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { Dictation, startAnthropic, type AnthropicServer } from '../support/anthropic.js';
import { launchBrowser } from '../support/chromium.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startProxy } from '../support/interruptible-proxy.js';
import { startRedis, type RedisServer } from '../support/redis.js';
import { startSynap, type SynapProcess } from '../support/synap.js';
import { answer, ask, connection, conversation, newContext, openExample } from './example-kit.js';

let database: TestDatabase;
let redis: RedisServer;
let anthropic: AnthropicServer;
let old: SynapProcess;
let browser: Browser;

const start = (): Promise<SynapProcess> =>
  startSynap({
    databaseUrl: database.url,
    redisUrl: redis.url,
    env: { ANTHROPIC_API_KEY: 'of the test', ANTHROPIC_BASE_URL: anthropic.url, SHUTDOWN_TIMEOUT_MS: '6000' },
  });

beforeAll(async () => {
  [database, redis, anthropic] = await Promise.all([createTestDatabase(), startRedis(), startAnthropic()]);
  [old, browser] = await Promise.all([start(), launchBrowser()]);
}, 120_000);
afterAll(async () => {
  await browser.close();
  await old.stop();
  await anthropic.stop();
  await redis.stop();
  await database.drop();
});

test('the server is replaced under a page in the middle of an answer, and the page ends with what Postgres has', async () => {
  const proxy = await startProxy(old.url);
  const context = await newContext(browser);
  const { page } = await openExample(context, `${proxy.url}/examples/chat.html`, 'deployed');
  const [before, after] = [new Dictation(), new Dictation()];
  anthropic.replies.push({ kind: 'dictated', dictation: before }, { kind: 'dictated', dictation: after });
  before.say('The old server says ');
  await ask(page, 'Who answers?');
  await answer(page, 'streaming', 'The old server');

  const next = await start();
  proxy.lead(next.url);
  const stopped = old.stop();
  // While it drains, the old process goes on with what it has begun.
  before.say('this ');
  await answer(page, 'streaming', 'The old server says this');
  // The attempt is handed back and begins again in the new process: its text starts over.
  after.say('The new server ');
  expect(await answer(page, 'streaming', 'The new server')).toBe('The new server ');
  await connection(page, 'connected');
  after.say('says it.');
  after.end();
  await answer(page, 'stored', 'The new server says it.');
  expect(await stopped).toBe(0);

  const { rows } = await database.pool.query<{ content: string }>(
    `SELECT content FROM conversation_messages WHERE "userId" = 'deployed' ORDER BY "createdAt", role DESC`,
  );
  expect(await conversation(page)).toEqual(rows.map(({ content }) => content));
  await context.close();
  await proxy.close();
  await next.stop();
}, 90_000);
