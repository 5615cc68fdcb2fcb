import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { launchBrowser } from '../support/chromium.js';
import { operator, seedJob, startOperations, type Operations } from '../support/operations.js';

let own: Operations;
let browser: Browser;
let page: Page;
const complaints: string[] = [];

beforeAll(async () => {
  own = await startOperations('redis');
  browser = await launchBrowser();
  page = await browser.newPage({ viewport: { width: 1280, height: 850 } });
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => !request.url().startsWith(own.api.url) && complaints.push(`asked ${request.url()}`));
}, 120_000);

afterAll(async () => {
  await browser.close();
  await own.close();
});

const onBoard = (path: string) => page.goto(`${own.api.url}/admin/queues/queue/${path}`);

test('an operator signs in, finds a dead letter, reads why it died and retries it', async () => {
  const job = await seedJob(own.testDatabase, { state: 'dead' });
  await own.fail(job);
  await onBoard('dead-letter?status=failed');
  await page.getByLabel('Name').fill(operator.name);
  await page.getByLabel('Password').fill(operator.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('All open dead letters of all queues').waitFor();
  await page.getByText('the disk is full').first().waitFor();
  const retried = page.waitForResponse((response) => response.url().endsWith(`/${job.id}/retry`));
  await page.locator('button:has(> .lucide-refresh-cw):not(:has-text("Retry"))').click();
  await page.getByRole('button', { name: /confirm/i }).click();
  expect((await retried).status()).toBe(204);
  const { rows } = await own.testDatabase.pool.query('SELECT state, generation FROM jobs WHERE id = $1', [job.id]);
  expect(rows).toEqual([{ state: 'queued', generation: 2 }]);
});

test("a live queue shows its jobs' data, and only the buttons that work", async () => {
  const job = await seedJob(own.testDatabase, { state: 'scheduled', runAt: `now() + interval '50 seconds'` });
  await own.enqueue(job, 50_000);
  await onBoard(`${own.queue}?status=delayed`);
  await page.getByText(job.ticket).waitFor();
  await page.getByText(`"${job.id}"`).waitFor();
  const icons = (name: string) => page.locator(`button:has(> .lucide-${name})`);
  for (const name of ['files', 'pencil', 'clock']) expect(await icons(name).first().isVisible()).toBe(false);
  for (const name of ['corner-up-left', 'trash-2']) expect(await icons(name).first().isVisible()).toBe(true);
  await page.locator('main button[aria-haspopup="menu"]').click();
  await page.getByRole('menuitem', { name: 'Pause' }).waitFor();
  const shown = await page.getByRole('menuitem').filter({ visible: true }).allInnerTexts();
  expect(shown.map((text) => text.trim())).toEqual(['Pause']);
});

test('neither page nor board broke its policy or asked another host', () => {
  expect(complaints).toEqual([]);
});
