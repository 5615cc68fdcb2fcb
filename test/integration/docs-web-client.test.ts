import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { createTokens } from '../../src/platform/tokens.js';
import { launchBrowser } from '../support/chromium.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { titledBlocks } from '../support/markdown.js';
import { Collected } from '../support/signals.js';
import { startSynap, testJwtSecret, type SynapProcess } from '../support/synap.js';

// docs/web-client.md: its files are written to a folder, as a reader would, and run against a real Synap.

const run = promisify(execFile);
const repository = process.cwd();
const tokens = createTokens(testJwtSecret);
const runOnce = new Set<string>();
let folder: string;
let files: readonly string[];
let database: TestDatabase;
let synap: SynapProcess;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'synap-web-client-'));
  await symlink(path.join(repository, 'node_modules'), path.join(folder, 'node_modules'));
  const blocks = titledBlocks(await readFile(path.join(repository, 'docs/web-client.md'), 'utf8'));
  for (const { file, text } of blocks) await writeFile(path.join(folder, file), text);
  files = blocks.map(({ file }) => file);
  database = await createTestDatabase();
  // What bin/start gives: the origins of development are allowed without being named.
  synap = await startSynap({ databaseUrl: database.url, env: { NODE_ENV: 'development' } });
}, 40_000);
afterAll(async () => {
  await synap.stop();
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

async function output(file: string): Promise<string> {
  runOnce.add(file);
  const env = {
    PATH: process.env['PATH'],
    SYNAP_URL: synap.url,
    JWT_SECRET: testJwtSecret,
    TOKEN: await tokens.mint('ada', { expiresInSeconds: 60 }),
  };
  const program = file.endsWith('.sh') ? 'sh' : process.execPath;
  const { stdout } = await run(program, [file], { cwd: folder, env, timeout: 15_000 });
  return stdout;
}

async function isAdas(token: string): Promise<void> {
  expect(await tokens.verify(token.trim())).toMatchObject({ userId: 'ada' });
}

test('a backend mints a token with jose', async () => isAdas(await output('token.mjs')));

test('a backend mints a token with jsonwebtoken', async () => isAdas(await output('token-jsonwebtoken.mjs')));

test('a developer gets a token by curl', async () => {
  const { token } = JSON.parse(await output('dev-token.sh')) as { token: string };
  await isAdas(token);
});

test('an event is posted by curl', async () => {
  expect(JSON.parse(await output('post.sh'))).toMatchObject({ status: 'accepted', eventId: expect.any(String) });
});

test('a plain socket.io-client hears of its request from the first stage to the end', async () => {
  const lines = (await output('first.mjs')).trim().split('\n');
  expect(lines[0]).toBe('on the way: note.creation.started');
  expect(lines.at(-1)).toMatch(/^success note\.creation\.completed Hello \/v1\/files\/[0-9a-f-]{36}$/);
});

test('a streamed answer ends as the stored one', async () => {
  expect(await output('chat.mjs')).toMatch(/offline assistant/);
});

test('what happened during an interruption arrives after it, once and in order', async () => {
  expect(await output('resume.mjs')).toBe('Before, Meanwhile\n');
});

/** A connection that lasts, and whose server answers as the test says. */
class PlayedSocket extends EventEmitter {
  connected = true;
  readonly asked: unknown[] = [];
  readonly answers: unknown[];
  constructor(answers: unknown[]) {
    super();
    this.answers = answers;
  }
  timeout(): this {
    return this;
  }
  emitWithAck(_event: string, message: unknown): Promise<unknown> {
    this.asked.push(message);
    const answer = this.answers.shift();
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  }
}

test('a subscription that is refused for a moment, or answered too late, is asked for again on a connection that lasts', async () => {
  const { follow } = (await import(path.join(folder, 'follow.mjs'))) as {
    follow: (socket: PlayedSocket, room: string, onNotification: (given: { seq: number }) => void) => void;
  };
  const notification = (seq: number) => ({ room: 'user_ada', epoch: 'e', seq });
  const joined = (seq: number, notifications: unknown[] = []) => ({
    ...{ ok: true, room: 'user_ada', epoch: 'e', seq, recovered: true, notifications },
  });
  const late = new Error('operation has timed out');
  const socket = new PlayedSocket([
    ...[{ ok: false, code: 'unavailable', message: 'played' }, late, joined(1)],
    // The gap's own join fails too, and is no unhandled rejection.
    ...[late, joined(4, [notification(3), notification(4)])],
  ]);
  const heard = new Collected<{ seq: number }>();
  const warn = jest.spyOn(console, 'warn').mockReturnValue();
  follow(socket, 'user_ada', heard.add);
  socket.emit('notification', notification(2));
  // Held until the third answer, whose head is 1.
  await heard.first(({ seq }) => seq === 2, 'what waited');
  socket.emit('notification', notification(4));
  socket.emit('notification', notification(5));
  await heard.first(({ seq }) => seq === 5, 'what was missing');
  expect(heard.items.map(({ seq }) => seq)).toEqual([2, 3, 4, 5]);
  expect(warn).toHaveBeenCalledTimes(3);
  warn.mockRestore();
});

test('refusals are told by their codes', async () => {
  expect(await output('refused.mjs')).toMatch(/^validation_failed\ndata\.title: /);
  expect(await output('refused-socket.mjs')).toBe('token_invalid\n');
});

test('a page of http://localhost:5173 uploads a file and hears of its note', async () => {
  const browser = await launchBrowser();
  try {
    const context = await browser.newContext();
    // Chromium takes a played site for one of the wide world, which needs leave to ask this machine.
    await context.grantPermissions(['local-network-access']);
    const page = await context.newPage();
    // Only the reader's own site is played here; Synap is asked for real, from that origin.
    await page.route('http://localhost:5173/**', async (route) => {
      const name = new URL(route.request().url()).pathname.slice(1);
      const library = path.join(repository, 'node_modules/socket.io-client/dist/socket.io.esm.min.js');
      if (name === '') await route.fulfill({ contentType: 'text/html', body: html });
      else
        await route.fulfill({
          path: name === 'library.js' ? library : path.join(folder, name),
          contentType: 'text/javascript',
        });
    });
    await page.goto('http://localhost:5173/');
    const token = await tokens.mint('ada', { expiresInSeconds: 60 });
    const excerpt = await page.evaluate<string>(
      `import('/page.js').then(({ upload }) =>
         upload('${synap.url}', '${token}', new File(['Seen from another origin.'], 'seen.txt', { type: 'text/plain' })))`,
    );
    expect(excerpt).toBe('Seen from another origin.');
  } finally {
    await browser.close();
  }
});

const html = `<!doctype html><script type="importmap">{"imports":{"socket.io-client":"/library.js"}}</script>`;

test('every file of the document was run or is imported by one that was', () => {
  const imported = ['synap.mjs', 'follow.mjs', 'page.js'];
  const left = files.filter((file) => !runOnce.has(file) && !imported.includes(file));
  expect(left.filter((file) => file !== 'token-jsonwebtoken.mjs')).toEqual([]);
});
