import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { pino } from 'pino';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { ManualClock } from '../../test/support/manual-clock.js';
import { eventually } from '../../test/support/signals.js';
import { readConfig } from './config.js';
import { createDatabase, runStatement, type Database } from './database.js';
import { SlowStatements } from './slow-statements.js';
import { inTransaction } from './transaction.js';

type Line = Readonly<Record<string, unknown>>;

let testDatabase: TestDatabase;
let database: Database;
let clock: ManualClock;
let lines: Line[];
const collecting = () => pino({ level: 'warn' }, { write: (text) => lines.push(JSON.parse(text) as Line) });

beforeEach(async () => {
  lines = [];
  clock = new ManualClock();
  testDatabase = await createTestDatabase({ migrated: false });
  const config = { ...readConfig({ SLOW_QUERY_MS: '150' }).database, poolMin: 0 };
  database = createDatabase(testDatabase.url, config, collecting(), clock);
});
afterEach(async () => {
  await database.close();
  await testDatabase.drop();
});

/** Every way to Postgres, with a statement that waits until somebody else lets go. */
const text = 'SELECT count(*) FROM pg_advisory_xact_lock($1)';
const waits: readonly [string, string, (key: number) => Promise<unknown>][] = [
  ['a prepared one', 'wait', (key) => runStatement(database.pool, { name: 'wait', text }, [key])],
  ['one of typed SQL', text, (key) => sql`SELECT count(*)  FROM pg_advisory_xact_lock(${key})`.execute(database.sql)],
  [
    'the last of a transaction',
    'last',
    (key) =>
      inTransaction(
        database.pool,
        () => Promise.resolve(),
        () => ({ statement: { name: 'last', text }, values: [key] }),
      ),
  ],
  ['one of Prisma', text, async (key) => (await database.prisma()).$executeRawUnsafe(text, key)],
];

async function whileHeld(key: number, passMs: number, ask: () => Promise<unknown>): Promise<void> {
  const holder = await testDatabase.pool.connect();
  await holder.query('SELECT pg_advisory_lock($1)', [key]);
  const asked = ask();
  await eventually(async () => {
    const { rows } = await testDatabase.pool.query('SELECT FROM pg_locks WHERE NOT granted AND objid = $1', [key]);
    return rows.length === 1 ? true : undefined;
  }, 'the statement to wait');
  clock.sleep(passMs);
  await holder.query('SELECT pg_advisory_unlock($1)', [key]);
  holder.release();
  await asked;
}

test.each(waits)(
  '%s that takes long is in the log, by its name and without its values',
  async (_which, statement, ask) => {
    await whileHeld(4_711, 149, () => ask(4_711));
    expect(lines).toEqual([]);
    await whileHeld(4_711, 150, () => ask(4_711));
    expect(lines).toMatchObject([{ level: 40, msg: 'a statement took long', statement, ms: 150 }]);
    expect(JSON.stringify(lines)).not.toContain('4711');
  },
);

test('one that fails is in the log too', async () => {
  const failing = sql.raw('SELECT 1 / (count(*) - 1) FROM pg_advisory_xact_lock(5)');
  const ask = () => expect(failing.execute(database.sql)).rejects.toThrow('division by zero');
  await whileHeld(5, 150, ask);
  expect(lines).toMatchObject([{ ms: 150 }]);
});

test('with 0 none is slow', async () => {
  const config = { ...readConfig({ SLOW_QUERY_MS: '0' }).database, poolMin: 0 };
  await database.close();
  database = createDatabase(testDatabase.url, config, collecting(), clock);
  await whileHeld(1, 60_000, () => database.pool.query(text, [1]));
  expect(lines).toEqual([]);
});

test('where many are slow at once a few lines a second say so, and the next how many were left out', () => {
  const slow = new SlowStatements({ fromMs: 100, clock, logger: collecting() });
  const burst = (count: number) => {
    const ended = Array.from({ length: count }, () => slow.start('SELECT 1'));
    clock.sleep(100);
    for (const end of ended) end();
  };
  burst(13);
  expect(lines).toHaveLength(10);
  expect(lines.filter(({ leftOut }) => leftOut !== undefined)).toEqual([]);
  clock.sleep(1_000);
  burst(2);
  expect(lines.slice(10).map(({ leftOut }) => leftOut)).toEqual([3, undefined]);
});
