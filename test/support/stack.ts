import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createTokens } from '../../src/platform/tokens.js';
import { createTestDatabase, type TestDatabase } from './database.js';
import { createRedisPrefix, redisUrl } from './redis.js';
import { startSynap, testJwtSecret, type SynapProcess } from './synap.js';

export type StackMode = 'single node' | 'many processes';

/** A whole Synap as it is deployed: one process on Postgres alone, or a process per role, two of realtime, on Redis. */
export interface Stack {
  readonly database: TestDatabase;
  /** Where events are posted. */
  readonly apiUrl: string;
  /** Where sockets connect; two replicas, which are the same process on a single node. */
  readonly realtimeUrls: readonly [string, string];
  readonly processes: readonly SynapProcess[];
  token(userId: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startStack(mode: StackMode, env: Readonly<Record<string, string>> = {}): Promise<Stack> {
  const database = await createTestDatabase();
  const storage = await mkdtemp(path.join(tmpdir(), 'synap-storage-'));
  const tokens = createTokens(testJwtSecret);
  const common = { databaseUrl: database.url, env: { STORAGE_DIR: storage, ...env } };
  const processes = mode === 'single node' ? [await startSynap(common)] : await startMany(common);
  const [api, realtimeA = api, realtimeB = realtimeA] = processes;
  if (api === undefined || realtimeA === undefined || realtimeB === undefined)
    throw new Error('no process was started');
  return {
    database,
    apiUrl: api.url,
    realtimeUrls: [realtimeA.url, realtimeB.url],
    processes,
    token: (userId) => tokens.mint(userId, { expiresInSeconds: 600 }),
    async stop() {
      await Promise.all(processes.map((process) => process.stop()));
      await database.drop();
      await rm(storage, { recursive: true, force: true });
    },
  };
}

async function startMany(common: {
  readonly databaseUrl: string;
  readonly env: Record<string, string>;
}): Promise<SynapProcess[]> {
  const env = { ...common.env, QUEUE_PREFIX: createRedisPrefix() };
  // The first one migrates nothing that the template database does not have already, so they may start together.
  return Promise.all(
    [['api'], ['realtime'], ['realtime'], ['worker'], ['dispatcher']].map((roles) =>
      startSynap({ ...common, env, roles, redisUrl: redisUrl() }),
    ),
  );
}
