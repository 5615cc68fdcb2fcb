import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { launchBrowser } from '../support/chromium.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startSynap, type SynapProcess } from '../support/synap.js';
import { addTask, entry, openPage, openSection, signIn, type OpenPage } from './page-kit.js';

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

describe('the page, signed in as a demo user', () => {
  let open: OpenPage;
  let page: Page;
  let user = 0;

  beforeEach(async () => {
    open = await openPage(browser, synap.url);
    page = open.page;
    await signIn(page, `ada-${(user += 1)}`);
  });
  afterEach(async () => {
    await open.context.close();
    if (open.faults.length > 0) throw new Error(`the page complained: ${open.faults.join('; ')}`);
  });

  test('a note is saved, shows its way and appears by its notification', async () => {
    await page.getByText('No notes yet').waitFor();
    await page.getByLabel('Title').fill('Reading list');
    await page.getByLabel('Text', { exact: true }).fill('Start with the executor.');
    await page.getByLabel('Tags', { exact: true }).fill('reading, queues');
    await page.getByRole('button', { name: 'Save note' }).click();

    const note = page.getByRole('list', { name: 'Notes' }).getByRole('listitem').filter({ hasText: 'Reading list' });
    await note.waitFor();
    expect(await note.innerText()).toContain('Start with the executor.');
    expect(await note.locator('.tag').allInnerTexts()).toEqual(['reading', 'queues']);
    await page.locator('.request[data-stage="done"]').waitFor();
    expect(await page.getByLabel('Title').inputValue()).toBe('');
    // The same notification comes to the user's room and to the request's.
    expect(await (await entry(page, 'note.creation.completed')).count()).toBe(1);
    expect(await (await entry(page, 'note.creation.started')).count()).toBe(1);
  });

  test('a note is made from an uploaded file, and the file can be had again', async () => {
    await page.getByLabel('Upload a file').check();
    const bytes = Buffer.from('# Plan\n\nMeasure twice.\n');
    await page.locator('#note-file').setInputFiles({ name: 'plan.md', mimeType: 'text/markdown', buffer: bytes });
    expect(await page.getByLabel('Title').inputValue()).toBe('plan');
    await page.getByRole('button', { name: 'Save note' }).click();

    const note = page.getByRole('list', { name: 'Notes' }).getByRole('listitem').filter({ hasText: 'Measure twice.' });
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      note.getByRole('button', { name: 'Download' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('plan.md');
    expect(await readFile(await download.path())).toEqual(bytes);
  });

  test('what the server refuses stands beside its field, and what was typed stays', async () => {
    await page.getByLabel('Title').fill('Too many tags');
    await page
      .getByLabel('Tags', { exact: true })
      .fill(Array.from({ length: 51 }, (_, index) => `t${index}`).join(','));
    await page.getByRole('button', { name: 'Save note' }).click();
    await page.locator('.hint.fault[data-fault="tags"]').waitFor();
    expect(await page.getByLabel('Title').inputValue()).toBe('Too many tags');
    expect(await page.getByLabel('Tags', { exact: true }).getAttribute('aria-invalid')).toBe('true');
    open.faults.splice(0); // Chromium reports every answer of 400 and above.
  });

  test('a project and its task are made, and the task is completed', async () => {
    await openSection(page, 'Projects');
    await page.getByLabel('Name').fill('Garden');
    await page.getByLabel('Description').fill('Before the frost.');
    await page.getByRole('button', { name: 'Create project' }).click();
    await page.getByRole('list', { name: 'Projects' }).getByText('Before the frost.').waitFor();

    await openSection(page, 'Tasks');
    await page.getByLabel('Project', { exact: true }).selectOption({ label: 'Garden' });
    await page.getByLabel('Due').fill('2020-02-29');
    await addTask(page, 'Prune the apple tree');
    const row = page.getByRole('list', { name: 'Tasks' }).getByRole('listitem');
    expect(await row.innerText()).toMatch(/Garden\s+Due Feb 29, 2020/);
    await row.getByRole('button', { name: 'Complete Prune the apple tree' }).click();
    await page.getByRole('button', { name: 'Prune the apple tree is completed' }).waitFor();
    await entry(page, 'task.completion.processed');
  });

  test('a task that cannot be completed says why, and can be tried again', async () => {
    await openSection(page, 'Tasks');
    await addTask(page, 'Catch the wind');
    await database.pool.query(`DELETE FROM tasks WHERE title = 'Catch the wind'`);
    const complete = page.getByRole('button', { name: 'Complete Catch the wind' });
    await complete.click();
    await page.getByRole('list', { name: 'Tasks' }).getByText('There is no such task among yours.').waitFor();
    expect(await complete.getAttribute('aria-busy')).toBe('false');
    const failed = await entry(page, 'task.completion.failed');
    expect(await failed.getAttribute('data-status')).toBe('error');
  });

  test('an answer is streamed while it is made, and superseded by the stored one', async () => {
    await page.getByLabel('Title').fill('Apple trees');
    await page.getByLabel('Text', { exact: true }).fill('Prune in February, when the sap is still down. '.repeat(5));
    await page.getByRole('button', { name: 'Save note' }).click();
    await entry(page, 'note.creation.completed');

    await openSection(page, 'Chat');
    await page.getByLabel('Message', { exact: true }).fill('When do I prune the apple trees?');
    await page.keyboard.press('Enter');
    // Before any answer of the server: the message, and a place for what comes.
    await page.locator('.message.user').getByText('When do I prune').waitFor();
    await page.locator('.message.assistant[data-state="streaming"] .message-text:not(:empty)').waitFor();
    const answer = page.locator('.message.assistant[data-state="stored"]');
    await answer.waitFor();
    expect(await answer.innerText()).toContain('Apple trees');
    expect(await page.locator('.message').count()).toBe(2);
    expect(await page.getByLabel('Conversation').locator('option:checked').innerText()).toBe(
      'When do I prune the apple trees?',
    );

    await page.reload();
    await page.getByLabel('Conversation').selectOption({ label: 'When do I prune the apple trees?' });
    await page.locator('.message.assistant').getByText('Apple trees').waitFor();
    expect(await page.locator('.message').count()).toBe(2);
  });

  test('another tab of the same user follows without asking', async () => {
    const tab = await open.context.newPage();
    await tab.goto(synap.url);
    await signIn(tab, `ada-${user}`);
    await openSection(tab, 'Projects');
    await tab.getByText('No projects yet').waitFor();

    await openSection(page, 'Projects');
    await page.getByLabel('Name').fill('Seen twice');
    await page.getByRole('button', { name: 'Create project' }).click();
    await tab.getByRole('list', { name: 'Projects' }).getByText('Seen twice').waitFor();
    expect(await tab.locator('.request').count()).toBe(0);
  });

  test('it fits a narrow screen and a dark one', async () => {
    await page.getByLabel('Title').fill('Dark and narrow');
    await page.getByRole('button', { name: 'Save note' }).click();
    await entry(page, 'note.creation.completed');
    const folder = await mkdtemp(path.join(tmpdir(), 'synap-page-'));
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.screenshot({ path: path.join(folder, 'dark.png') });
    await page.setViewportSize({ width: 400, height: 820 });
    await page.screenshot({ path: path.join(folder, 'dark-narrow.png') });
    expect((await stat(path.join(folder, 'dark.png'))).size).toBeGreaterThan(10_000);

    const background = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
    expect(background).toBe('rgb(18, 19, 22)');
    expect(await page.evaluate<boolean>('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true);
    await openSection(page, 'Live');
    await page.locator('#feed').getByText('Note saved').waitFor();
    expect(await page.getByRole('heading', { name: 'Notes', level: 1 }).isVisible()).toBe(false);
  });

  test('a note can be written with the keyboard alone', async () => {
    await page.keyboard.press('Tab');
    expect(await page.locator(':focus').innerText()).toBe('Skip to content');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.type('By hand');
    await page.keyboard.press('Enter');
    await page.getByRole('list', { name: 'Notes' }).getByText('By hand').waitFor();
  });

  test('it leads to the examples', async () => {
    await page.getByRole('link', { name: 'Examples' }).click();
    await page.getByRole('link', { name: 'Chat' }).click();
    await page.getByRole('heading', { name: 'Chat' }).waitFor();
  });

  test('signing out forgets the user', async () => {
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  });
});
