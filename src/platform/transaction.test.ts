import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { pino } from 'pino';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { readConfig } from './config.js';
import { createDatabase, type Database, type Sql } from './database.js';
import { PipelinedQuery } from './pipelined-query.js';
import { CommitRefused, inTransaction } from './transaction.js';

let testDatabase: TestDatabase;
let database: Database;

beforeEach(async () => {
  testDatabase = await createTestDatabase({ migrated: false });
  await testDatabase.pool.query('CREATE TABLE marks (n int)');
  const config = { ...readConfig({ NODE_ENV: 'test' }).database, poolMin: 0, poolMax: 1 };
  database = createDatabase(testDatabase.url, config, pino({ level: 'silent' }));
});

afterEach(async () => {
  await database.close();
  await testDatabase.drop();
});

const mark = (tx: Sql, n: number) => sql`INSERT INTO marks VALUES (${n})`.execute(tx);
const last = (n: number, divisor = 1) => ({
  statement: { name: 'last', text: 'INSERT INTO marks VALUES ($1::int / $2::int)' },
  values: [n, divisor],
});
const marks = async () =>
  (await testDatabase.pool.query<{ n: number }>('SELECT n FROM marks ORDER BY n')).rows.map(({ n }) => n);

test('what it does and its last statement commit together, and its connection is lent out again', async () => {
  const run = async (n: number) =>
    inTransaction(
      database.pool,
      async (tx) => {
        const { numAffectedRows } = await mark(tx, n);
        const { rows } = await sql<{ n: number }>`SELECT n FROM marks WHERE n = ${n}`.execute(tx);
        return { numAffectedRows, rows };
      },
      () => last(n + 1),
    );
  expect(await run(1)).toEqual({ numAffectedRows: 1n, rows: [{ n: 1 }] });
  await run(3);
  expect(await marks()).toEqual([1, 2, 3, 4]);
});

test('where its last statement refuses, nothing is committed, also where it is the only one', async () => {
  const refused = inTransaction(
    database.pool,
    (tx) => mark(tx, 1),
    () => last(2, 0),
  );
  await expect(refused).rejects.toThrow(CommitRefused);
  const alone = inTransaction(
    database.pool,
    () => Promise.resolve(),
    () => last(2, 0),
  );
  await expect(alone).rejects.toThrow(CommitRefused);
  expect(await marks()).toEqual([]);
});

test('a division by zero of its own is an error like any other', async () => {
  const failing = inTransaction(
    database.pool,
    (tx) => sql`SELECT 1 / ${0}::int`.execute(tx),
    () => last(1),
  );
  await expect(failing).rejects.toMatchObject({ code: '22012' });
  await expect(failing).rejects.not.toThrow(CommitRefused);
});

test('what it has left behind and begins when it is over is refused, and does not commit by itself', async () => {
  let left: Sql | undefined;
  const abandoned = inTransaction(
    database.pool,
    async (tx) => {
      left = tx;
      await mark(tx, 1);
      throw new Error('left behind');
    },
    () => last(2),
  );
  await expect(abandoned).rejects.toThrow('left behind');
  await expect(mark(left as Sql, 3)).rejects.toThrow('is over');
  expect(await marks()).toEqual([]);
});

test('a statement behind one that fails is passed over, whichever of the two is the driver’s own', async () => {
  const client = await testDatabase.pool.connect();
  const fail = 'SELECT 1 / 0';
  const pairs = [
    new PipelinedQuery({ text: 'INSERT INTO marks VALUES (1)' }, { before: fail }),
    new PipelinedQuery({ text: fail }, { after: 'INSERT INTO marks VALUES (2)' }),
  ];
  for (const query of pairs) {
    client.query(query);
    await expect(query.answer).rejects.toMatchObject({ code: '22012' });
  }
  client.release();
  expect(await marks()).toEqual([]);
});

test('its first statement may be several, where it has no values', async () => {
  await inTransaction(
    database.pool,
    (tx) => sql`INSERT INTO marks VALUES (1); INSERT INTO marks VALUES (2)`.execute(tx),
    () => last(3),
  );
  expect(await marks()).toEqual([1, 2, 3]);
});

test('nothing is committed where the last statement could not be sent', async () => {
  const unsendable = {
    toPostgres: () => {
      throw new Error('no value');
    },
  };
  const failing = inTransaction(
    database.pool,
    (tx) => mark(tx, 1),
    () => ({ ...last(2), values: [unsendable, 1] }),
  );
  await expect(failing).rejects.toThrow('no value');
  expect(await marks()).toEqual([]);
});
