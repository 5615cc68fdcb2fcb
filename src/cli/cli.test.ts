import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { linesOf, runLine, type Ways } from '../../test/support/cli.js';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { within } from '../../test/support/signals.js';
import { startSynap, testJwtSecret, type SynapProcess } from '../../test/support/synap.js';
import { newDevelopmentState, writeDevelopmentState } from '../platform/development-state.js';
import { createTokens } from '../platform/tokens.js';
import { createTerminal } from './terminal.js';

let database: TestDatabase;
let synap: SynapProcess;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'synap-cli-'));
  database = await createTestDatabase();
  synap = await startSynap({ databaseUrl: database.url });
}, 30_000);
afterAll(async () => {
  await synap.stop();
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

/** Beside the test's own Synap. */
const cli = (line: readonly string[], ways: Partial<Ways> = {}) =>
  runLine(line, { environment: { JWT_SECRET: testJwtSecret, DATABASE_URL: database.url, SYNAP_DIR: folder }, ...ways });
const here = (...line: readonly string[]) => cli([...line, '--url', synap.url]);
const project = (name: string) => ['project.creation.requested', JSON.stringify({ name })] as const;

describe('token', () => {
  test('prints nothing but a token of the user', async () => {
    const { code, out } = await cli(['token', '--user', 'ada']);
    expect(code).toBe(0);
    expect(await createTokens(testJwtSecret).verify(out.trim())).toMatchObject({ userId: 'ada' });
  });

  test('says with --json who and until when', async () => {
    const { out } = await cli(['token', '--user', 'ada', '--expires', '2h', '--json']);
    const [{ userId, expiresAt } = {}] = linesOf(out);
    expect(userId).toBe('ada');
    expect(Math.abs(Date.parse(String(expiresAt)) - Date.now() - 7_200_000)).toBeLessThan(60_000);
  });

  test('uses the secret that a development Synap has made for itself', async () => {
    const directory = await mkdtemp(path.join(folder, 'state-'));
    const state = { ...newDevelopmentState(), url: synap.url };
    await writeDevelopmentState(directory, state);
    const { out } = await cli(['token', '--user', 'ada'], { environment: { SYNAP_DIR: directory } });
    expect(await createTokens(state.jwtSecret).verify(out.trim())).toMatchObject({ userId: 'ada' });
  });

  test('says what to do where no secret is known', async () => {
    const { code, out, err } = await cli(['token', '--user', 'ada'], { environment: { SYNAP_DIR: `${folder}/none` } });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(/secret that signs tokens is not known[^\n]*\n *Set JWT_SECRET/);
  });
});

describe('send', () => {
  test('without --wait answers with what was accepted', async () => {
    const { code, out } = await here('send', ...project('Plain'), '--request-id', 'req-1', '--json');
    expect(code).toBe(0);
    expect(linesOf(out)).toEqual([expect.objectContaining({ status: 'accepted', requestId: 'req-1' })]);
  });

  test('with --wait shows every stage, and exits 0 at the good end', async () => {
    const note = ['note.creation.requested', '{"title":"Hello","content":"Mine."}'] as const;
    const { code, out } = await here('send', ...note, '--user', 'ada', '--wait', '--json');
    expect(code).toBe(0);
    const lines = linesOf(out);
    expect(lines.filter(({ kind }) => kind === 'accepted')).toHaveLength(1);
    expect(lines.filter(({ kind }) => kind === 'notification')).toEqual([
      expect.objectContaining({ type: 'note.creation.started', status: 'pending', seq: 1 }),
      expect.objectContaining({ type: 'note.creation.completed', status: 'success', seq: 2 }),
    ]);
  });

  test('with --wait exits 2 where the event failed, and says why', async () => {
    const { code, out } = await here('send', 'task.completion.requested', '{"taskId":"nope"}', '--wait');
    expect(code).toBe(2);
    expect(out).toContain('There is no such task among yours.');
  });

  test('shows an answer as it is written', async () => {
    const { code, out } = await here('send', 'conversation.message.sent', '{"content":"Anything?"}', '--wait');
    expect(code).toBe(0);
    expect(out).toMatch(/offline assistant[\s\S]*success +conversation\.response\.generated/);
  });

  test('stops waiting after --timeout, with the way to go on', async () => {
    const { code, err } = await here('send', ...project('Later'), '--delay', '1h', '--wait', '--timeout', '300ms');
    expect(code).toBe(1);
    expect(err).toMatch(/No end within 300 ms\.\n.*tail --room request_/);
  });

  test('takes its data from a file or from standard input', async () => {
    const file = path.join(folder, 'project.json');
    await writeFile(file, '{"name":"From a file"}');
    expect((await here('send', 'project.creation.requested', `@${file}`, '--wait')).out).toContain('From a file');
    const piped = ['send', 'project.creation.requested', '-', '--wait', '--url', synap.url];
    expect((await cli(piped, { input: '{"name":"From a pipe"}' })).out).toContain('From a pipe');
  });

  test.each([
    ['data that is no JSON', ['project.creation.requested', '{name'], /is not JSON/],
    ['data of the wrong form', ['project.creation.requested', '{}'], /validation_failed[^\n]*\n *data\.name: /],
    ['an unknown type', ['no.such.type', '{}'], /unknown_event_type/],
    ['a wrong token', [...project('x'), '--token', 'a.b.c'], /token_invalid[^\n]*\n[^\n]*JWT_SECRET/],
    ['a priority that is none', [...project('x'), '--priority', 'urgent'], /Allowed choices are high, normal, low/],
    ['a delay that is none', [...project('x'), '--delay', 'soon'], /Write 500ms, 30s, 5m, 1h or 7d/],
    ['a wrong token, waiting', [...project('x'), '--token', 'a.b.c', '--wait'], /token_invalid/],
  ])('refuses %s with exit code 1 and a reason', async (_what, line, reason) => {
    const { code, err } = await here('send', ...line);
    expect(code).toBe(1);
    expect(err).toMatch(reason);
  });

  test('says where it looked for a Synap that is not there', async () => {
    const { code, err } = await cli(['send', ...project('x'), '--url', 'http://127.0.0.1:1', '--json']);
    expect(code).toBe(1);
    expect(linesOf(err)).toEqual([
      { error: expect.objectContaining({ code: 'unreachable', message: expect.stringContaining('127.0.0.1:1') }) },
    ]);
  });
});

describe('cancel', () => {
  test('ends what waits of a request, and says what became of it', async () => {
    await here('send', ...project('Never'), '--delay', '1h', '--request-id', 'req-never', '--user', 'ada');
    const { code, out } = await here('cancel', 'req-never', '--user', 'ada');
    expect(code).toBe(0);
    expect(out).toBe('cancelled  req-never\n  cancelled  project.creation.requested\n');
  });

  test("is refused where the request is another user's, or has ended", async () => {
    await here('send', ...project('Done'), '--request-id', 'req-done', '--user', 'ada', '--wait');
    const refusals = [await here('cancel', 'req-done', '--user', 'ada'), await here('cancel', 'req-done')];
    expect(refusals.map(({ code }) => code)).toEqual([1, 1]);
    expect(refusals.map(({ err }) => /\((\w+)\)/.exec(err)?.[1])).toEqual(['job_state_conflict', 'not_found']);
  });
});

describe('tail', () => {
  test('shows what arrives, one line each, and ends after --count', async () => {
    const listening = Promise.withResolvers<void>();
    const onErr = (text: string) => text.includes('listening') && listening.resolve();
    const tail = cli(['tail', '--user', 'eve', '--count', '2', '--json', '--url', synap.url], { onErr });
    await within(listening.promise, 'tail to listen');
    await here('send', ...project('First'), '--user', 'eve');
    await here('send', ...project('Second'), '--user', 'eve');
    const { code, out } = await within(tail, 'tail to end');
    expect(code).toBe(0);
    expect(linesOf(out)).toEqual([
      expect.objectContaining({ room: 'user_eve', seq: 1, type: 'project.creation.completed' }),
      expect.objectContaining({ room: 'user_eve', seq: 2 }),
    ]);
  });

  test('shows a request from its first notification on', async () => {
    await here('send', ...project('Before'), '--request-id', 'earlier', '--wait');
    const { out } = await here('tail', '--room', 'request_earlier', '--count', '1');
    expect(out).toMatch(/success +project\.creation\.completed +Before +earlier\n$/);
  });

  test('ends well on Ctrl-C', async () => {
    const interrupted = new AbortController();
    const onErr = (text: string) => text.includes('listening') && interrupted.abort();
    const { code } = await within(
      cli(['tail', '--url', synap.url], { signal: interrupted.signal, onErr }),
      'tail to end',
    );
    expect(code).toBe(0);
  });

  test("refuses another user's room", async () => {
    const { code, err } = await here('tail', '--user', 'ada', '--room', 'user_eve');
    expect(code).toBe(1);
    expect(err).toContain('user_eve cannot be heard');
  });
});

describe('the command line itself', () => {
  test('help has every command and an example, and is no error', async () => {
    const { code, out } = await cli(['--help']);
    expect(code).toBe(0);
    for (const name of ['send', 'tail', 'token', 'dead', 'operations', 'migrate', 'doctor'])
      expect(out).toContain(`\n  ${name}`);
    expect((await cli(['send', '--help'])).out).toContain('Exit codes with --wait');
  });

  test('a slip of the finger gets a suggestion', async () => {
    const { code, err } = await cli(['sned']);
    expect(code).toBe(1);
    expect(err).toContain('Did you mean send?');
  });

  test('colours are for terminals, and never where NO_COLOR is set', () => {
    const terminal = { isTTY: true, write: () => true };
    expect(createTerminal(terminal, terminal, {}).style.good('x')).toBe('\u001B[32mx\u001B[39m');
    expect(createTerminal(terminal, terminal, { NO_COLOR: '1' }).style.good('x')).toBe('x');
    expect(createTerminal({ write: () => true }, terminal, {}).style.good('x')).toBe('x');
  });

  test('docs/cli.md has every option of every command', async () => {
    const document = await readFile('docs/cli.md', 'utf8');
    const dead = ['list', 'groups', 'show', 'edit', 'replay', 'discard'].map((name) => ['dead', name]);
    const operations = ['list', 'show', 'stop'].map((name) => ['operations', name]);
    for (const names of [['send'], ['tail'], ['token'], ['migrate'], ['doctor'], ...dead, ...operations]) {
      const { out } = await cli([...names, '--help']);
      for (const [option] of out.matchAll(/--[a-z-]+/g)) expect(document).toContain(option);
    }
  });
});
