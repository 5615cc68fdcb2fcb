import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { applyMigrations } from './migrate.js';

const logger = pino({ level: 'silent' });
let root: string;
let migrationsDir: string;
let database: TestDatabase;

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'synap-migrate-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));
beforeEach(async () => {
  migrationsDir = await mkdtemp(path.join(root, 'case-'));
  database = await createTestDatabase({ migrated: false });
});
afterEach(() => database.drop());

async function write(name: string, script: string): Promise<void> {
  await mkdir(path.join(migrationsDir, name), { recursive: true });
  await writeFile(path.join(migrationsDir, name, 'migration.sql'), script);
}

const migrate = (afterwards?: () => Promise<void>) =>
  applyMigrations({ databaseUrl: database.url, migrationsDir, logger, afterwards });

describe('applying migrations', () => {
  test('applies what is missing, in order, and nothing twice', async () => {
    await write('2_second', 'ALTER TABLE things ADD COLUMN name text;');
    await write('1_first', 'CREATE TABLE things (id int);');
    expect(await migrate()).toEqual(['1_first', '2_second']);
    expect(await migrate()).toEqual([]);
    await write('3_third', 'ALTER TABLE things ADD COLUMN size int;');
    expect(await migrate()).toEqual(['3_third']);
  });

  test('runs scripts whole: the body of a function may hold semicolons', async () => {
    await write(
      '1_function',
      `CREATE FUNCTION two() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; RETURN 2; END $$;`,
    );
    await migrate();
    const result = await database.pool.query<{ two: number }>('SELECT two()');
    expect(result.rows).toEqual([{ two: 2 }]);
  });

  test('many processes at once apply each migration once', async () => {
    await write('1_first', 'CREATE TABLE things (id int);');
    const applied = await Promise.all(Array.from({ length: 5 }, () => migrate()));
    expect(applied.flat()).toEqual(['1_first']);
  });

  test('further schemas are migrated under the same lock', async () => {
    await write('1_first', 'CREATE TABLE things (id int);');
    let running = 0;
    let most = 0;
    const afterwards = async () => {
      most = Math.max(most, (running += 1));
      await database.pool.query('SELECT 1');
      running -= 1;
    };
    await Promise.all([migrate(afterwards), migrate(afterwards), migrate(afterwards)]);
    expect(most).toBe(1);
  });

  test("the project's own migrations make the database that the Prisma CLI expects", async () => {
    await cp('prisma/migrations', migrationsDir, { recursive: true });
    await migrate();
    const { rows } = await database.pool.query<{ done: boolean; steps: number }>(
      'SELECT bool_and(finished_at IS NOT NULL) AS done, min(applied_steps_count)::int AS steps FROM _prisma_migrations',
    );
    expect(rows).toEqual([{ done: true, steps: 1 }]);
  });
});

describe('a database that cannot be migrated', () => {
  test('a failing script is named with the reason, and blocks the next start until a person has seen to it', async () => {
    await write('1_wrong', 'CREATE TABLE things (id nonsense);');
    await expect(migrate()).rejects.toMatchObject({
      code: 'start_failed',
      message: expect.stringMatching(/1_wrong.*nonsense/),
    });
    await expect(migrate()).rejects.toMatchObject({
      message: expect.stringMatching(/1_wrong failed earlier.*nonsense/),
    });
  });

  test('a migration that was changed after it was applied is refused', async () => {
    await write('1_first', 'CREATE TABLE things (id int);');
    await migrate();
    await write('1_first', 'CREATE TABLE things (id bigint);');
    await expect(migrate()).rejects.toMatchObject({ message: expect.stringContaining('1_first was changed') });
  });

  test('a newer database is no obstacle to an older version, as in every deploy', async () => {
    await write('1_first', 'CREATE TABLE things (id int);');
    await write('2_newer', 'CREATE TABLE more (id int);');
    await migrate();
    await rm(path.join(migrationsDir, '2_newer'), { recursive: true });
    expect(await migrate()).toEqual([]);
  });

  test('a database with tables of somebody else is refused, not taken over', async () => {
    await database.pool.query('CREATE TABLE somebody_elses (id int)');
    await write('1_first', 'CREATE TABLE things (id int);');
    await expect(migrate()).rejects.toMatchObject({
      code: 'start_failed',
      message: expect.stringContaining('not empty'),
    });
  });

  test('a server that is out of reach is named without its password', async () => {
    const failing = applyMigrations({
      databaseUrl: 'postgresql://me:hunter2@127.0.0.1:1/synap',
      migrationsDir,
      logger,
    });
    await expect(failing).rejects.toMatchObject({
      code: 'start_failed',
      message: expect.stringContaining('synap at 127.0.0.1:1'),
    });
    await expect(failing).rejects.not.toMatchObject({ message: expect.stringContaining('hunter2') });
  });
});
