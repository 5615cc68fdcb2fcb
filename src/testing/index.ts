import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { features as allFeatures } from '../features/index.js';
import type { Feature } from '../features/feature.js';
import { createBuild, type ServiceOverrides } from './build.js';
import { openDatabaseServer } from './databases.js';
import { TestKit } from './kit.js';

export type { Accepted, Sent } from './accepting.js';
export type { ServiceOverrides } from './build.js';
export type { CrashPoint, Disturbances } from './crash-points.js';
export type { AttemptReport, TestKit } from './kit.js';
export type { EmittedRecord, FailureRecord, NotificationRecord, Run } from './run.js';
export type { Check, SurvivalOptions } from './survives-crashes.js';
export type { TestClock } from './test-clock.js';

export interface TestKitOptions {
  /** Default: all that this Synap has. */
  readonly features?: readonly Feature[];
  /** Default: a storage in a directory of its own, the offline assistant. */
  readonly services?: ServiceOverrides;
  /** A server where databases may be made. Default: TEST_DATABASE_URL, else a Postgres of its own, which takes seconds to start. */
  readonly databaseUrl?: string;
}

/** A kit with a database and a storage directory of its own; `end()` removes both. */
export async function startTestKit(options: TestKitOptions = {}): Promise<TestKit> {
  const { features = allFeatures, services = {} } = options;
  const storageDirectory = await mkdtemp(path.join(tmpdir(), 'synap-kit-'));
  const build = createBuild({ features, overrides: services, storageDirectory });
  const server = await openDatabaseServer(options.databaseUrl, build.logger);
  const url = await server.clone();
  const onEnd = async () => {
    await server.stop();
    await rm(storageDirectory, { recursive: true, force: true });
  };
  return new TestKit({ build, server, url, onEnd });
}
