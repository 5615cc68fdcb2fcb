import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { seedJob, type Seed } from '../../test/support/operations.js';
import { startSynap, testApiKey, type SynapProcess } from '../../test/support/synap.js';
import { runCli } from './program.js';
import { createTerminal } from './terminal.js';

let database: TestDatabase;
let synap: SynapProcess;

beforeAll(async () => {
  database = await createTestDatabase();
  synap = await startSynap({ databaseUrl: database.url });
}, 30_000);
afterAll(async () => {
  await synap.stop();
  await database.drop();
});

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface Ways {
  readonly key?: string;
  readonly input?: string;
  readonly isScreen?: boolean;
}

async function cli(
  line: readonly string[],
  { key = testApiKey, input = '', isScreen = false }: Ways = {},
): Promise<Run> {
  const written = { out: '', err: '' };
  const sink = (name: 'out' | 'err') => ({
    isTTY: isScreen,
    write: (text: string) => {
      written[name] += text;
    },
  });
  const environment = { API_KEY: key, SYNAP_DIR: '/nowhere', NO_COLOR: '1' };
  const code = await runCli([...line, '--url', synap.url], {
    environment,
    terminal: createTerminal(sink('out'), sink('err'), environment),
    readInput: () => Promise.resolve(input),
    signal: new AbortController().signal,
  });
  return { code, ...written };
}

const dead = async (seed: Omit<Seed, 'state'> = {}) =>
  (await seedJob(database, { state: 'dead', data: { title: 't', content: 'c' }, ...seed })).id;
const before = `now() - interval '1 second'`;

describe('dead', () => {
  test('list shows which and what of, fits a terminal of 100 columns, and goes on with a cursor', async () => {
    const ids = [
      await dead({ userId: 'lister', letter: { message: 'late '.repeat(50), diedAt: `now() - interval '3 hours'` } }),
      await dead({ userId: 'lister', letter: { code: 'gone', diedAt: `now() - interval '2 days'` } }),
    ];
    const { code, out, err } = await cli(['dead', 'list', '--user', 'lister', '--limit', '1']);
    const lines = out.trimEnd().split('\n');
    expect([code, lines.length]).toEqual([0, 2]);
    expect(lines[0]).toMatch(new RegExp(`^${ids[0]}  note\\.creation\\.requested +3 h ago +lister$`));
    expect(lines[1]).toMatch(/^ {2}handler_failed {2}late late .*…$/);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
    const [, cursor = ''] = /--cursor (\S+)/.exec(err) ?? [];
    const rest = await cli(['dead', 'list', '--user', 'lister', '--cursor', cursor, '--json']);
    expect((JSON.parse(rest.out) as { items: unknown[] }).items).toMatchObject([
      { jobId: ids[1], error: { code: 'gone' } },
    ]);
    expect((await cli(['dead', 'list', '--user', 'nobody'])).out).toBe('There are none.\n');
    expect((await cli(['dead', 'list', '--user', 'lister', '--since', '1d', '--json'])).out).toContain(ids[0]);
    expect((await cli(['dead', 'list', '--user', 'lister', '--since', '1d', '--json'])).out).not.toContain(ids[1]);
  });

  test('groups counts by what they died of', async () => {
    for (let n = 0; n < 2; n++) await dead({ userId: 'grouper', letter: { fingerprint: 'feed' } });
    const { out } = await cli(['dead', 'groups', '--user', 'grouper']);
    expect(out).toMatch(/^ +2 {2}note\.creation\.requested +feed .*\n {2}handler_failed {2}the disk is full\n$/);
  });

  test('show, edit and replay tell the story of one', async () => {
    const id = await dead();
    const shown = await cli(['dead', 'show', id]);
    expect(shown.code).toBe(0);
    expect(shown.out).toMatch(
      /dead\n[^]*Error\n {2}handler_failed {2}the disk is full\n[^]*Payload\n {2}\{\n {4}"title": "t"/,
    );
    expect(shown.out).not.toContain('Correction');
    const wrong = await cli(['dead', 'edit', id, '{"title":""}']);
    expect(wrong.code).toBe(1);
    expect(wrong.err).toContain('data.title: ');
    expect((await cli(['dead', 'edit', id, '-'], { input: '{"title":"mended","content":"c"}' })).code).toBe(0);
    expect((await cli(['dead', 'show', id])).out).toMatch(
      /History\n.* corrected {2}by API_KEY[^]*Correction[^]*"mended"/,
    );
    expect((await cli(['dead', 'edit', id, '--remove'])).out).toBe('The correction is removed.\n');
    expect((await cli(['dead', 'edit', id])).err).toContain('Name either a payload or --remove.');
    const replayed = await cli(['dead', 'replay', id, '--restart', '--json']);
    expect(JSON.parse(replayed.out)).toEqual({ jobId: id, state: 'replayed', generation: 2 });
    const again = await cli(['dead', 'replay', id]);
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('(job_state_conflict)')]);
  });

  test('discard needs a reason', async () => {
    const id = await dead();
    expect((await cli(['dead', 'discard', id])).err).toContain('--reason');
    expect((await cli(['dead', 'discard', id, '--reason', 'made twice'])).out).toBe(`discarded  ${id}\n`);
  });

  test('acts on many only where something says on which', async () => {
    for (const line of [['replay'], ['discard', '--reason', 'x'], ['replay', 'some-id', '--all']]) {
      const { code, err } = await cli(['dead', ...line]);
      expect([code, err]).toEqual([1, expect.stringContaining('Name a job, or a filter')]);
    }
  });

  test('replay of many counts, works with a progress line on a screen, and is 2 where some were skipped', async () => {
    for (let n = 0; n < 3; n++) await dead({ userId: 'many', letter: { diedAt: before } });
    expect((await cli(['dead', 'replay', '--user', 'many', '--dry-run'])).out).toBe('3 would be replayed.\n');
    const { code, out, err } = await cli(['dead', 'replay', '--user', 'many'], { isScreen: true });
    expect([code, out]).toEqual([0, expect.stringMatching(/^completed {2}replay {3}3 of 3 [^]*which +userId: many\n/)]);
    expect(err).toMatch(/\r[^\n]*━ {2}0 of 3/);
    await dead({ userId: 'tired', letter: { replays: 5, diedAt: before } });
    const partly = await cli(['dead', 'replay', '--user', 'tired']);
    expect([partly.code, partly.err]).toEqual([2, '']);
    expect(partly.out).toMatch(/0 of 1, 1 skipped[^]*last error .*replayed 5 times/);
  });
});

test('operations lists, shows and stops', async () => {
  for (let n = 0; n < 3; n++) await dead({ userId: 'slow', letter: { diedAt: before } });
  const started = await cli([
    'dead',
    'discard',
    '--user',
    'slow',
    '--reason',
    'x',
    '--rate',
    '1',
    '--detach',
    '--json',
  ]);
  const { id } = JSON.parse(started.out) as { id: string };
  expect((await cli(['operations'])).out).toContain(id);
  const stopped = await cli(['operations', 'stop', id]);
  expect([stopped.code, stopped.out]).toEqual([0, expect.stringMatching(/^stopped {4}discard/)]);
  expect((await cli(['operations', 'show', id, '--wait'])).code).toBe(2);
});

test('a key that is none is told so, and what to do', async () => {
  const { code, err } = await cli(['dead', 'list'], { key: '0123456789012345678901234567890123456789' });
  expect([code, err]).toEqual([1, expect.stringMatching(/\(token_invalid\)\n +Check API_KEY/)]);
  const none = await cli(['dead', 'list'], { key: '' });
  expect(none.err).toMatch(/key of operators is not known[^\n]*\n *Set API_KEY/);
});
