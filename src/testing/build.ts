import { LaneWatch, Lanes } from '../dispatch/lanes.js';
import { EventCatalogue } from '../events/catalogue.js';
import type { Handler } from '../execution/handler.js';
import { OfflineAssistant } from '../features/conversations/offline-assistant.js';
import type { Feature } from '../features/feature.js';
import { LocalStorage } from '../features/files/local-storage.js';
import type { Services } from '../features/services.js';
import { systemClock } from '../platform/clock.js';
import { createDatabase, type Database } from '../platform/database.js';
import { createLogger, type Logger } from '../platform/logger.js';
import { createMetrics, type Metrics } from '../platform/metrics.js';
import type { TestClock } from './test-clock.js';

/**
 * What stands in for the services, all or some of them. A function is asked anew by each simulated process, with the services
 * of that process: what uses `sql` must use its, or it would write on after the process is dead.
 */
export type ServiceOverrides = Partial<Services> | ((defaults: Services) => Partial<Services>);

/** What all processes of a kit share: the code, and the world outside. */
export interface Build {
  readonly features: readonly Feature[];
  readonly handlers: readonly Handler<Services>[];
  readonly catalogue: EventCatalogue;
  readonly overrides: ServiceOverrides;
  /** Of the default storage. */
  readonly storageDirectory: string;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

export interface BuildOptions {
  readonly features: readonly Feature[];
  readonly overrides: ServiceOverrides;
  readonly storageDirectory: string;
}

/** @throws TypeError where the features do not fit together. */
export function createBuild({ features, overrides, storageDirectory }: BuildOptions): Build {
  const handlers = features.flatMap((feature) => feature.handlers);
  return {
    features,
    handlers,
    catalogue: new EventCatalogue(
      features.flatMap(({ events }) => events),
      handlers,
    ),
    overrides,
    storageDirectory,
    metrics: createMetrics('synap_'),
    logger: createLogger({ level: 'silent', pretty: false }),
  };
}

export function createServicesFor(
  { overrides, storageDirectory, metrics }: Build,
  database: Database,
  clock: TestClock,
) {
  const { sql } = database;
  const storage = new LocalStorage(storageDirectory);
  const defaults: Services = { storage, assistant: new OfflineAssistant(sql, clock, 0), metrics, sql };
  return { ...defaults, ...(typeof overrides === 'function' ? overrides(defaults) : overrides) };
}

/** Between two attempts the kit is the dispatcher: whose turn has come in its lane may be attempted. */
export function createLaneWatch({ catalogue: { skipping }, logger }: Build, { pool }: Database): LaneWatch {
  const lanes = new Lanes({ pool, skipping, onRunnable: () => undefined, logger });
  return new LaneWatch({ pool, lanes, clock: systemClock, logger, graceMs: 0 });
}

/** @param poolMax an attempt needs one connection, and one more for each thing it does at a time. */
export const openDatabase = (url: string, { logger }: Build, poolMax: number): Database =>
  createDatabase(url, { url, poolMin: 0, poolMax, idleTimeoutMs: 0, queryTimeoutMs: 10_000 }, logger);
