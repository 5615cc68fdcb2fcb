import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as Clock from '../src/platform/clock.js';
import type * as Database from '../src/platform/database.js';
import type * as Logger from '../src/platform/logger.js';
import type * as Metrics from '../src/platform/metrics.js';
import type * as Migrate from '../src/platform/migrate.js';
import type * as PostgresCluster from '../src/platform/postgres-cluster.js';
import type * as PostgresServer from '../src/platform/postgres-server.js';
import type * as Redis from '../src/platform/redis.js';
import type * as Tokens from '../src/platform/tokens.js';
import type * as Definition from '../src/events/definition.js';
import type * as Feature from '../src/features/feature.js';
import type * as OrderedPublisher from '../src/realtime/publishing/ordered-publisher.js';
import type * as PostgresLog from '../src/realtime/log/postgres-log.js';
import type * as RedisBackplane from '../src/realtime/redis/backplane.js';
import type * as Rooms from '../src/realtime/rooms.js';
import type * as Program from '../src/processes/program.js';
import type * as PostgresStore from '../src/queues/postgres-store.js';

interface Built {
  'events/definition': typeof Definition;
  'features/feature': typeof Feature;
  'platform/clock': typeof Clock;
  'platform/database': typeof Database;
  'platform/logger': typeof Logger;
  'platform/metrics': typeof Metrics;
  'platform/migrate': typeof Migrate;
  'platform/postgres-cluster': typeof PostgresCluster;
  'platform/postgres-server': typeof PostgresServer;
  'platform/redis': typeof Redis;
  'platform/tokens': typeof Tokens;
  'realtime/publishing/ordered-publisher': typeof OrderedPublisher;
  'realtime/log/postgres-log': typeof PostgresLog;
  'realtime/redis/backplane': typeof RedisBackplane;
  'realtime/rooms': typeof Rooms;
  'processes/program': typeof Program;
  'queues/postgres-store': typeof PostgresStore;
}

/** Compiled or not, a program finds the repository that it is in. */
export const root = findRoot(import.meta.dirname);

function findRoot(directory: string): string {
  return existsSync(path.join(directory, 'package.json')) ? directory : findRoot(path.dirname(directory));
}

/** A module as it was built, which is what production runs; a checkout that is not built yet still has its types. */
export async function built<Name extends keyof Built>(name: Name): Promise<Built[Name]> {
  return (await import(pathToFileURL(path.join(root, 'dist', `${name}.js`)).href)) as Built[Name];
}
