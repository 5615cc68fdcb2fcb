import { describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { createTestDatabase } from '../../test/support/database.js';
import { eventually } from '../../test/support/signals.js';
import { readConfig } from './config.js';
import { createDatabase, isConnectionLoss, withoutFlush } from './database.js';

const failed = (code: string, message = 'x') => Object.assign(new Error(message), { code });

describe('a lost connection', () => {
  test.each([
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    'ENOTFOUND',
    'EAI_AGAIN',
    'EHOSTUNREACH',
    'ENETUNREACH',
    'ETIMEDOUT',
  ])('shows as %s', (code) => {
    expect(isConnectionLoss(failed(code))).toBe(true);
  });

  test.each(['08006', '57P01', '57P03', '53100', '53300', '58030', '25006'])('shows as SQLSTATE %s', (code) => {
    expect(isConnectionLoss(failed(code))).toBe(true);
  });

  test.each(['23505', '22P02', '40P01', '42P01'])('is not what SQLSTATE %s says', (code) => {
    expect(isConnectionLoss(failed(code, 'Connection terminated'))).toBe(false);
  });
});

test('both ways to Postgres live through the end of their connections, idle or lent out', async () => {
  const testDatabase = await createTestDatabase();
  const config = readConfig({ NODE_ENV: 'test' }).database;
  const { pool, close, ...database } = createDatabase(testDatabase.url, config, pino({ level: 'silent' }));
  const prisma = await database.prisma();
  const lent = await pool.connect();
  await Promise.all([lent.query('BEGIN'), pool.query('SELECT 1'), prisma.job.count()]);
  const lost = new Promise((resolve) => lent.once('end', () => resolve(true)));
  await testDatabase.pool.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  );
  await lost;
  lent.release(true);
  const answers = () => Promise.all([pool.query('SELECT 1'), prisma.job.count()]).catch(() => undefined);
  expect(await eventually(answers, 'answers')).toHaveLength(2);
  await close();
  await testDatabase.drop();
});

test('after a statement whose commit need not reach the disk, the next one of its connection does', async () => {
  const testDatabase = await createTestDatabase({ migrated: false });
  const client = await testDatabase.pool.connect();
  await client.query('SET synchronous_commit = on');
  await client.query('CREATE TABLE marks AS SELECT 1 AS seq');
  const setting = `current_setting('synchronous_commit') AS setting`;
  const text = `UPDATE marks SET seq = 2 FROM ${withoutFlush} RETURNING ${setting}`;
  for (let times = 1; times <= 2; times++) {
    expect((await client.query({ name: 'mark', text })).rows).toEqual([{ setting: 'off' }]);
    expect((await client.query(`SELECT ${setting}`)).rows).toEqual([{ setting: 'on' }]);
  }
  client.release();
  await testDatabase.drop();
});
