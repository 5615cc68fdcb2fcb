import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createTokens } from '../../src/platform/tokens.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { openStream } from '../support/event-source.js';
import { createRedisPrefix, redisUrl } from '../support/redis.js';
import { startSynap, testJwtSecret, type SynapProcess } from '../support/synap.js';

// A stream of the real program: where the realtime role is alone, and where it shares its process with the api.

const tokens = createTokens(testJwtSecret);
const layouts = [
  ['in one process', [undefined]],
  ['in processes of their own', [['realtime'], ['api', 'dispatcher', 'worker']]],
] as const;

describe.each(layouts)('a stream, %s', (_name, [first, second]) => {
  let database: TestDatabase;
  let realtime: SynapProcess;
  let api: SynapProcess;

  beforeAll(async () => {
    database = await createTestDatabase();
    const shared = { redisUrl: redisUrl(), env: { QUEUE_PREFIX: createRedisPrefix() } };
    const start = (roles: readonly string[] | undefined) =>
      startSynap({ databaseUrl: database.url, ...(roles === undefined ? {} : { ...shared, roles }) });
    realtime = await start(first);
    api = second === undefined ? realtime : await start(second);
  }, 60_000);
  afterAll(async () => {
    await Promise.all([realtime.stop(), api.stop()]);
    await database.drop();
  }, 60_000);

  test('hears what a job says, ends when its process is told to stop, and its token is in no log', async () => {
    const token = await tokens.mint('ada', { expiresInSeconds: 600 });
    const stream = await openStream(`${realtime.url}/v1/notifications/stream?room=request_r&access_token=${token}`);
    await stream.first('ready');
    const accepted = await fetch(`${api.url}/v1/events`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ type: 'project.creation.requested', requestId: 'r', data: { name: 'Garden' } }),
    });
    expect(accepted.status).toBe(202);
    expect(await stream.first('notification')).toMatchObject({
      ...{ type: 'project.creation.completed', room: 'request_r', seq: 1 },
    });
    const listed = await fetch(`${api.url}/v1/notifications`, { headers: { Authorization: `Bearer ${token}` } });
    expect(await listed.json()).toMatchObject({ head: { seq: 1 }, unread: 1, items: [{ seq: 1 }] });
    expect(await realtime.stop()).toBe(0);
    expect(await stream.first('closing')).toMatchObject({ code: 'draining' });
    await stream.ended;
    expect(realtime.logs.items.filter((line) => JSON.stringify(line).includes(token))).toEqual([]);
  }, 60_000);
});
