import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as Definition from '../../../src/events/definition.js';
import type * as ScheduleModule from '../../../src/events/schedule.js';
import type * as Retry from '../../../src/execution/retry.js';
import type * as FeatureModule from '../../../src/features/feature.js';
import type * as Features from '../../../src/features/index.js';
import type * as FaultPoints from '../../../src/platform/fault-points.js';
import type * as Logger from '../../../src/platform/logger.js';
import type * as Migrate from '../../../src/platform/migrate.js';
import type * as PostgresCluster from '../../../src/platform/postgres-cluster.js';
import type * as PostgresServer from '../../../src/platform/postgres-server.js';
import type * as Tokens from '../../../src/platform/tokens.js';
import type * as Program from '../../../src/processes/program.js';

interface Built {
  'events/definition': typeof Definition;
  'events/schedule': typeof ScheduleModule;
  'execution/retry': typeof Retry;
  'features/feature': typeof FeatureModule;
  'features/index': typeof Features;
  'platform/fault-points': typeof FaultPoints;
  'platform/logger': typeof Logger;
  'platform/migrate': typeof Migrate;
  'platform/postgres-cluster': typeof PostgresCluster;
  'platform/postgres-server': typeof PostgresServer;
  'platform/tokens': typeof Tokens;
  'processes/program': typeof Program;
}

const root = path.resolve(import.meta.dirname, '../../..');

/** The build under test; the mutation proof has one of its own. */
export const builtDirectory = process.env['FAULTS_DIST'] ?? path.join(root, 'dist');

/** A module as it was built, which is what production runs; a checkout that is not built yet still has its types. */
export async function built<Name extends keyof Built>(name: Name): Promise<Built[Name]> {
  return (await import(pathToFileURL(path.join(builtDirectory, `${name}.js`)).href)) as Built[Name];
}
