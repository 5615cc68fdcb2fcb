import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import type { Assistant } from '../../src/features/conversations/assistant.js';
import { OfflineAssistant } from '../../src/features/conversations/offline-assistant.js';
import type { Feature } from '../../src/features/feature.js';
import { LocalStorage } from '../../src/features/files/local-storage.js';
import type { Storage } from '../../src/features/files/storage.js';
import { features } from '../../src/features/index.js';
import { systemClock } from '../../src/platform/clock.js';
import { createDatabase, type Database } from '../../src/platform/database.js';
import { createMetrics, type Metrics } from '../../src/platform/metrics.js';
import { Attempts } from './attempts.js';
import { createTestDatabase } from './database.js';

export interface FeatureTest {
  readonly attempts: Attempts;
  readonly database: Database;
  readonly storage: Storage;
  readonly metrics: Metrics;
  /** Where the storage keeps its files. */
  readonly directory: string;
  /** Calls a read route as `userId`, its parameters validated as over HTTP. */
  read(userId: string, path: string, input?: { params?: object; query?: object }): Promise<unknown>;
  end(): Promise<void>;
}

export interface FeatureTestOptions {
  readonly features?: readonly Feature[];
  readonly assistant?: (database: Database) => Assistant;
}

/** Features with a database and a storage directory of their own. */
export async function startFeatures(options: FeatureTestOptions = {}): Promise<FeatureTest> {
  const tested = options.features ?? features;
  const testDatabase = await createTestDatabase();
  const directory = await mkdtemp(path.join(tmpdir(), 'synap-storage-'));
  const database = createDatabase(
    testDatabase.url,
    { url: undefined, poolMin: 0, poolMax: 5, idleTimeoutMs: 1_000, queryTimeoutMs: 10_000 },
    pino({ level: 'silent' }),
  );
  const storage = new LocalStorage(directory);
  const assistant = options.assistant?.(database) ?? new OfflineAssistant(database.sql, systemClock, 0);
  const metrics = createMetrics('synap_');
  const attempts = new Attempts(tested, database, { storage, assistant, metrics, sql: database.sql });
  await attempts.start();
  return {
    attempts,
    database,
    storage,
    metrics,
    directory,
    async read(userId, route, { params = {}, query = {} } = {}) {
      const read = tested.flatMap(({ reads }) => reads).find((candidate) => candidate.path === route);
      if (read === undefined) throw new Error(`no read route ${route}`);
      return read.run({ userId, params: read.params.parse(params), query: read.query.parse(query), database });
    },
    async end() {
      await attempts.stop();
      await database.close();
      await testDatabase.drop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
