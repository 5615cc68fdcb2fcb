import { existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startTestKit } from './index.js';

const given = process.env['TEST_DATABASE_URL'];
beforeEach(() => {
  delete process.env['TEST_DATABASE_URL'];
});
afterEach(() => {
  process.env['TEST_DATABASE_URL'] = given;
});

const asked = { type: 'project.creation.requested', data: { name: 'House' } };

test('without a server a kit starts its own, and leaves nothing behind', async () => {
  const kit = await startTestKit();
  expect(await kit.run('ada', asked)).toMatchObject({ outcome: 'completed' });
  expect(existsSync(kit.storageDirectory)).toBe(true);
  await kit.end();
  expect(existsSync(kit.storageDirectory)).toBe(false);
}, 60_000);

test('two kits on one server know nothing of each other, and drop what they made', async () => {
  const [one, other] = await Promise.all([
    startTestKit({ databaseUrl: given! }),
    startTestKit({ databaseUrl: given! }),
  ]);
  await one.run('ada', asked);
  const count = () => other.sql.selectFrom('projects').select('id').execute();
  expect(await count()).toEqual([]);
  const { rows } = await one.database.pool.query<{ name: string }>('SELECT current_database() AS name');
  await one.end();
  const left = await other.database.pool.query('SELECT FROM pg_database WHERE datname = $1', [rows[0]?.name]);
  expect(left.rowCount).toBe(0);
  await other.end();
});
