import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { Browser, Page } from 'playwright-core';
import { createTokens } from '../../src/platform/tokens.js';
import { migrateQueues } from '../../src/queues/postgres-store.js';
import { launchBrowser } from '../support/chromium.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startSynap, testJwtSecret, type SynapProcess } from '../support/synap.js';
import { startProxy } from '../support/interruptible-proxy.js';
import { connected, openPage, openSection, signIn } from './page-kit.js';

const tokens = createTokens(testJwtSecret);
let database: TestDatabase;
let synap: SynapProcess;
let browser: Browser;

beforeAll(async () => {
  database = await createTestDatabase();
  [synap, browser] = await Promise.all([startSynap({ databaseUrl: database.url }), launchBrowser()]);
}, 120_000);
afterAll(async () => {
  await browser.close();
  await synap.stop();
  await database.drop();
});

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

/** Opens the page through a way that can be cut; all of it is closed after the test. */
async function openThroughProxy() {
  const proxy = await startProxy(synap.url);
  closers.push(() => proxy.close());
  return { proxy, page: await open(proxy.url) };
}

async function open(url: string): Promise<Page> {
  const { page, context } = await openPage(browser, url);
  closers.push(() => context.close());
  return page;
}

async function createProject(userId: string, name: string): Promise<void> {
  const token = await tokens.mint(userId, { expiresInSeconds: 60 });
  const response = await fetch(`${synap.url}/v1/events`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
    body: JSON.stringify({ type: 'project.creation.requested', data: { name }, requestId: randomUUID() }),
  });
  expect(response.status).toBe(202);
}

test('what happened while the connection was cut is shown after it, once and in order', async () => {
  const { proxy, page } = await openThroughProxy();
  await signIn(page, 'cut');
  await openSection(page, 'Projects');
  await createProject('cut', 'Before');
  await page.getByRole('list', { name: 'Projects' }).getByText('Before').waitFor();

  await proxy.cut();
  await page.locator('#connection[data-state="reconnecting"]').waitFor();
  await createProject('cut', 'During, first');
  await createProject('cut', 'During, second');
  await proxy.mend();

  await connected(page);
  await page.getByRole('list', { name: 'Projects' }).getByText('During, second').waitFor();
  await createProject('cut', 'After');
  await page.getByRole('list', { name: 'Projects' }).getByText('After').waitFor();
  expect((await page.locator('#feed .detail').allInnerTexts()).toSorted()).toEqual(
    ['After', 'During, second', 'During, first', 'Before'].toSorted(),
  );
});

test('what is sent while the connection is cut is kept, and refused in plain words', async () => {
  const { proxy, page } = await openThroughProxy();
  await signIn(page, 'kept');
  await proxy.cut();
  await page.locator('#connection[data-state="reconnecting"]').waitFor();
  await page.getByLabel('Title').fill('Not lost');
  await page.getByRole('button', { name: 'Save note' }).click();
  await page.locator('#note-form .form-fault').getByText('Synap cannot be reached').waitFor();
  expect(await page.getByLabel('Title').inputValue()).toBe('Not lost');

  await proxy.mend();
  await connected(page);
  await page.getByRole('button', { name: 'Save note' }).click();
  await page.getByRole('list', { name: 'Notes' }).getByText('Not lost').waitFor();
});

test('a session that has ended leads back to signing in', async () => {
  const page = await open(synap.url);
  await page.getByRole('button', { name: 'Use a token instead' }).click();
  await page.getByLabel('Token').fill(await tokens.mint('brief', { expiresInSeconds: 2 }));
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await connected(page);
  await page.getByText('Your session has ended. Sign in again.').waitFor();
});

test('in production nobody is anybody: the page asks for a token', async () => {
  const own = await createTestDatabase();
  closers.push(() => own.drop());
  await migrateQueues(own.url);
  const env = { NODE_ENV: 'production', HOST: '127.0.0.1' };
  const production = await startSynap({ databaseUrl: own.url, env });
  closers.push(() => production.stop());
  const page = await open(production.url);
  await page.getByLabel('User id').fill('ada');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByText('This server has no demo users.').waitFor();

  await page.getByLabel('Token').fill('nonsense');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByText('This is not a token').waitFor();

  await page.getByLabel('Token').fill(await tokens.mint('ada', { expiresInSeconds: 60 }));
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await connected(page);
  expect(await page.locator('#user-id').innerText()).toBe('ada');
  expect([await page.locator('#examples').isVisible(), (await fetch(`${production.url}/examples/`)).status]).toEqual([
    false,
    404,
  ]);
});
