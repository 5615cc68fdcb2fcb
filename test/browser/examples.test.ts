import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Browser, BrowserContext } from 'playwright-core';
import { Dictation, startAnthropic, type AnthropicServer } from '../support/anthropic.js';
import { launchBrowser } from '../support/chromium.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startProxy } from '../support/interruptible-proxy.js';
import { eventually } from '../support/signals.js';
import { startSynap, type SynapProcess } from '../support/synap.js';
import { answer, ask, connection, conversation, newContext, openExample, type ExamplePage } from './example-kit.js';

let database: TestDatabase;
let anthropic: AnthropicServer;
let synap: SynapProcess;
let browser: Browser;
let context: BrowserContext;
const opened: ExamplePage[] = [];
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  [database, anthropic] = await Promise.all([createTestDatabase(), startAnthropic()]);
  const env = { ANTHROPIC_API_KEY: 'of the test', ANTHROPIC_BASE_URL: anthropic.url };
  [synap, browser] = await Promise.all([startSynap({ databaseUrl: database.url, env }), launchBrowser()]);
}, 120_000);
afterAll(async () => {
  await browser.close();
  await synap.stop();
  await anthropic.stop();
  await database.drop();
});
beforeEach(async () => {
  context = await newContext(browser);
});
afterEach(async () => {
  await context.close();
  for (const close of closers.splice(0).toReversed()) await close();
  const faults = opened.splice(0).flatMap((it) => it.faults);
  if (faults.length > 0) throw new Error(`the page complained: ${faults.join('; ')}`);
});

async function open(example: 'note-uploader' | 'chat', userId: string, url = synap.url): Promise<ExamplePage> {
  const it = await openExample(context, `${url}/examples/${example}.html`, userId);
  opened.push(it);
  return it;
}

/** What is cut off makes Chromium complain; that is not the page's fault. */
function forgiveNetworkErrors(): void {
  for (const { faults } of opened)
    faults.splice(0, Infinity, ...faults.filter((fault) => !/ERR_|WebSocket|Failed to load resource/.test(fault)));
}

function dictate(...pieces: readonly string[]): Dictation {
  const dictation = new Dictation();
  for (const piece of pieces) dictation.say(piece);
  anthropic.replies.push({ kind: 'dictated', dictation });
  return dictation;
}

/** Questions and answers as Postgres has them, from the first. */
async function storedConversation(userId: string): Promise<string[]> {
  const { rows } = await database.pool.query<{ content: string }>(
    `SELECT content FROM conversation_messages WHERE "userId" = $1 ORDER BY "createdAt", role DESC`,
    [userId],
  );
  return rows.map(({ content }) => content);
}

test('a file becomes a note: progress only grows, and the card is what Postgres has', async () => {
  const { page } = await open('note-uploader', 'uploader');
  await page.evaluate(`
    globalThis.seen = { phases: [], percents: [] };
    const look = () => {
      const phase = document.querySelector('[data-phase]')?.dataset.phase;
      if (phase !== seen.phases.at(-1)) seen.phases.push(phase);
      const bar = document.querySelector('progress');
      if (bar !== null) seen.percents.push(bar.value);
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
    look();
  `);
  const bytes = Buffer.from('# Plan\n\nMeasure twice.\n');
  const file = path.join(await mkdtemp(path.join(tmpdir(), 'synap-upload-')), 'plan.md');
  await writeFile(file, bytes);
  await page.getByLabel('File').setInputFiles(file);
  await page.getByLabel('Tags').fill('work, plans');
  await page.getByRole('button', { name: 'Upload' }).click();

  const note = page.getByRole('article', { name: 'Note' });
  await note.waitFor();
  expect(await note.locator('.tag').allInnerTexts()).toEqual(['work', 'plans']);
  const { phases, percents } = await page.evaluate<{ phases: string[]; percents: number[] }>('seen');
  expect(phases).toEqual(['idle', 'uploading', 'completed']);
  expect([percents, percents.at(-1)]).toEqual([percents.toSorted((a, b) => a - b), 100]);

  const [download] = await Promise.all([
    page.waitForEvent('download'),
    note.getByRole('link', { name: 'Download' }).click(),
  ]);
  expect([download.suggestedFilename(), await readFile(await download.path())]).toEqual(['plan.md', bytes]);
  const { rows } = await database.pool.query(`SELECT title, tags, content FROM notes WHERE "userId" = 'uploader'`);
  expect(rows).toEqual([{ title: 'plan', tags: ['work', 'plans'], content: bytes.toString() }]);

  // The address names the request, so a reload comes back to it; the skip link beside it does not get in its way.
  await page.locator('.skip').press('Enter');
  await page.reload();
  await note.getByText('plan', { exact: true }).waitFor();
});

test('an upload that is cancelled is not shown as a note', async () => {
  const { page } = await open('note-uploader', 'quitter');
  const requestId = randomUUID();
  const { token } = await page.evaluate<{ token: string }>(`
    fetch('/v1/dev/token', {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"userId":"quitter"}',
    }).then((answer) => answer.json())`);
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
  const body = JSON.stringify({
    ...{ type: 'note.creation.requested', requestId, delayMs: 3_600_000 },
    data: { title: 'Never', content: 'x' },
  });
  await fetch(`${synap.url}/v1/events`, { method: 'POST', headers, body });
  await page.goto(`${synap.url}/examples/note-uploader.html?request=${requestId}`);
  await page.locator('[data-phase="uploading"]').waitFor();
  await fetch(`${synap.url}/v1/requests/${requestId}`, { method: 'DELETE', headers });
  await page.locator('[data-phase="failed"]').getByText('This was cancelled.').waitFor();
});

test('an upload that fails says why and is tried again with what there is', async () => {
  const { page } = await open('note-uploader', 'unlucky');
  const failed = page.locator('[data-phase="failed"]');
  const upload = { name: 'tries.txt', mimeType: 'text/plain', buffer: Buffer.from('again') };
  // The network first, then the handler: it is told of a file that is not there.
  await page.route('**/v1/files', (route) => route.abort(), { times: 1 });
  await page.getByLabel('File').setInputFiles(upload);
  await page.getByRole('button', { name: 'Upload' }).click();
  await failed.getByText('Synap cannot be reached').waitFor();

  await page.route('**/v1/files', (route) => route.fulfill({ status: 201, json: { id: randomUUID() } }), { times: 1 });
  await page.getByRole('button', { name: 'Try again' }).click();
  await failed.getByText('There is no such file among yours.').waitFor();

  await page.getByRole('button', { name: 'Choose another file' }).click();
  await page.getByLabel('File').setInputFiles(upload);
  await page.getByRole('button', { name: 'Upload' }).click();
  await page.getByRole('article', { name: 'Note' }).getByText('tries').waitFor();
  forgiveNetworkErrors();
});

test('an answer is shown while it is written, also after a reload in its middle, and ends as it is stored', async () => {
  const { page } = await open('chat', 'asker');
  const speaker = dictate('Prune ');
  await ask(page, 'When do I prune?');
  expect(await answer(page, 'streaming', 'Prune')).toBe('Prune ');
  speaker.say('in ');
  expect(await answer(page, 'streaming', 'Prune in')).toBe('Prune in ');

  await page.reload();
  expect(await answer(page, 'streaming', 'Prune in')).toBe('Prune in ');
  speaker.say('February.');
  expect(await answer(page, 'streaming', 'February')).toBe('Prune in February.');
  speaker.end();
  await answer(page, 'stored', 'Prune in February.');
  expect(await conversation(page)).toEqual(await storedConversation('asker'));

  // A second question goes on in the same thread.
  dictate('Because the sap is down.').end();
  await ask(page, 'Why?');
  await answer(page, 'stored', 'sap');
  expect(await conversation(page)).toEqual(await storedConversation('asker'));
  const { rows } = await database.pool.query(`SELECT id FROM conversation_threads WHERE "userId" = 'asker'`);
  expect(rows).toHaveLength(1);
});

test('a question that was refused says why, and is asked again', async () => {
  const { page } = await open('chat', 'refused');
  const problem = { code: 'invalid_event', title: 'Not like this' };
  const refusal = { status: 422, contentType: 'application/problem+json', body: JSON.stringify(problem) };
  await page.route('**/v1/events', (route) => route.fulfill(refusal), { times: 1 });
  await ask(page, 'Anybody there?');
  await answer(page, 'failed', 'Not like this');
  dictate('Yes.').end();
  await page.getByRole('button', { name: 'Ask again' }).click();
  await answer(page, 'stored', 'Yes.');
  expect(await storedConversation('refused')).toEqual(['Anybody there?', 'Yes.']);
  forgiveNetworkErrors();
});

test('the network goes off and on in the middle of an answer: nothing is missing and nothing twice', async () => {
  const { page } = await open('chat', 'tunnel');
  const network = await context.newCDPSession(page);
  const setOffline = (offline: boolean) =>
    network.send('Network.emulateNetworkConditions', {
      offline,
      latency: 0,
      downloadThroughput: -1,
      uploadThroughput: -1,
    });
  await network.send('Network.enable');
  const speaker = dictate('One, ');
  await ask(page, 'Count to four');
  await answer(page, 'streaming', 'One,');
  await setOffline(true);
  await connection(page, 'offline');
  speaker.say('two, ');
  await setOffline(false);
  await connection(page, 'connected');
  speaker.say('three, ');
  expect(await answer(page, 'streaming', 'three')).toBe('One, two, three, ');

  await setOffline(true);
  await connection(page, 'offline');
  speaker.say('four.');
  speaker.end();
  await eventually(async () => (await storedConversation('tunnel'))[1], 'the answer to be stored');
  await setOffline(false);
  await answer(page, 'stored', 'One, two, three, four.');
  expect(await conversation(page)).toEqual(await storedConversation('tunnel'));
  forgiveNetworkErrors();
});

test('what is asked while the way is cut is shown at once and sent when it is mended', async () => {
  const proxy = await startProxy(synap.url);
  closers.push(() => proxy.close());
  const { page } = await open('chat', 'cut-off', proxy.url);
  const speaker = dictate('First, ');
  await ask(page, 'What comes first?');
  await answer(page, 'streaming', 'First');
  await proxy.cut();
  await connection(page, 'reconnecting');
  speaker.say('this.');
  speaker.end();
  await eventually(async () => (await storedConversation('cut-off'))[1], 'the answer to be stored');
  await proxy.mend();
  await answer(page, 'stored', 'First, this.');

  await proxy.cut();
  await connection(page, 'reconnecting');
  await ask(page, 'And then?');
  await page.locator('.message-note').getByText('Sending').waitFor();
  dictate('Then that.').end();
  await proxy.mend();
  await answer(page, 'stored', 'Then that.');
  expect(await conversation(page)).toEqual(await storedConversation('cut-off'));
  forgiveNetworkErrors();
});

test('two tabs share one connection; when the leading one closes, the other goes on in the middle of an answer', async () => {
  const first = await open('chat', 'tabbed');
  const second = await open('chat', 'tabbed');
  expect([first.sockets(), second.sockets()]).toEqual([1, 0]);
  const speaker = dictate('Both ');
  await ask(first.page, 'Who hears this?');
  await answer(first.page, 'streaming', 'Both');
  await answer(second.page, 'streaming', 'Both');

  await first.page.close();
  speaker.say('tabs ');
  await answer(second.page, 'streaming', 'Both tabs');
  await connection(second.page, 'connected');
  expect(second.sockets()).toBe(1);
  speaker.say('did.');
  speaker.end();
  await answer(second.page, 'stored', 'Both tabs did.');
  expect(await conversation(second.page)).toEqual(await storedConversation('tabbed'));
});

test('both fit a narrow and a dark screen, and are used with the keyboard alone', async () => {
  const { page } = await open('chat', 'narrow');
  dictate('It fits, however long the words in it may be.').end();
  await page.keyboard.press('Tab');
  expect(await page.locator(':focus').innerText()).toBe('Skip to content');
  await page.getByLabel('Message', { exact: true }).focus();
  await page.keyboard.type('Does it fit?');
  await page.keyboard.press('Enter');
  await answer(page, 'stored', 'It fits');
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.setViewportSize({ width: 400, height: 820 });
  const fits = 'document.documentElement.scrollWidth <= window.innerWidth';
  expect([await page.evaluate(fits), await page.evaluate('getComputedStyle(document.body).backgroundColor')]).toEqual([
    true,
    'rgb(18, 19, 22)',
  ]);
  await page.getByRole('link', { name: 'Note uploader' }).click();
  await connection(page, 'connected');
  expect(await page.evaluate(fits)).toBe(true);
});
