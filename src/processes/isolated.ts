import { writeFileSync } from 'node:fs';
import { EventCatalogue } from '../events/catalogue.js';
import { Claims } from '../execution/claims.js';
import { Executor } from '../execution/executor.js';
import { Finishing } from '../execution/finishing.js';
import { Handlers } from '../execution/handlers.js';
import { IsolatedLink } from '../execution/isolated-link.js';
import type { Assignment } from '../execution/isolation-messages.js';
import { WorkerRegistry } from '../execution/worker-registry.js';
import type { Feature } from '../features/feature.js';
import { createServices } from '../features/services.js';
import { systemClock } from '../platform/clock.js';
import { readConfig, type Config } from '../platform/config.js';
import { createDatabase, createHeartbeatPool } from '../platform/database.js';
import { toError } from '../platform/errors.js';
import { armFault } from '../platform/fault-points.js';
import { createLogger, type Logger } from '../platform/logger.js';
import { createMetrics } from '../platform/metrics.js';
import { startWatchdog } from '../platform/watchdog.js';
import type { Disposal } from '../queues/backend.js';

/** One connection for the attempt's transaction, and a few for its claim, its finish and what its handler reads. */
const poolMax = 4;
const unjudgedDelayMs = 1_000;

/**
 * Where the memory of the machine or the container is used up, Linux ends this process and not its worker. Anybody may offer
 * himself so; elsewhere there is no such file.
 */
function dieFirst(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch {
    // Then the biggest goes first, which is likely to be this one.
  }
}

/**
 * A worker for one job: started by another worker for a job that ended its process twice. It has its own row in `workers`, its
 * own connections and its own watchdog, runs the one job as any worker would, and ends. No ports, no queues, no locks: its
 * parent has them.
 */
export async function runIsolated(features: readonly Feature[]): Promise<void> {
  const config = readConfig(process.env);
  armFault(config.fault);
  dieFirst();
  const logger = createLogger(config.log, { isolated: true });
  const link = new IsolatedLink(systemClock);
  // A terminal's Ctrl-C goes to the parent too, which knows better what is to stop.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => link.stopIfOrphaned());
  await runJob(await link.assignment, link, { config, features, logger });
  process.exit(0);
}

interface Given {
  readonly config: Config;
  readonly features: readonly Feature[];
  readonly logger: Logger;
}

async function runJob(assignment: Assignment, link: IsolatedLink, { config, features, logger }: Given): Promise<void> {
  const { databaseUrl, workerId: id, jobId, generation } = assignment;
  const database = createDatabase(databaseUrl, { ...config.database, poolMin: 0, poolMax }, logger);
  const heartbeats = createHeartbeatPool(databaseUrl, logger);
  const registry = new WorkerRegistry({ id, pool: heartbeats, clock: systemClock, logger });
  await registry.start();
  const metrics = link.relayMetrics(createMetrics(config.metrics.prefix));
  const { publisher, onRunnable } = link;
  const executor = new Executor({
    database,
    claims: new Claims({ pool: database.pool, workerId: id, isIsolated: true }),
    finishing: new Finishing({ pool: database.pool, publisher, onRunnable }),
    handlers: new Handlers(features.flatMap(({ handlers }) => handlers)),
    catalogue: new EventCatalogue(
      features.flatMap(({ events }) => events),
      features.flatMap(({ handlers }) => handlers),
    ),
    services: createServices({ config, database, metrics, clock: systemClock }),
    publisher,
    clock: systemClock,
    random: Math.random,
    logger,
    metrics,
    attempts: registry.attempts,
    shutdown: link.shutdown,
  });
  // Not before: what is loaded and compiled until here may take its time on a busy machine.
  startWatchdog(config.worker.watchdogTimeoutMs, logger);
  link.say({ kind: 'started' });
  const disposal = await executor.execute({ jobId, generation, ...link.taken }).catch((thrown: unknown): Disposal => {
    logger.error({ err: toError(thrown), jobId }, 'an attempt could not be judged; it comes back');
    return { kind: 'later', runAt: systemClock.now() + unjudgedDelayMs };
  });
  await link.answer(disposal);
  await registry.stop().catch((thrown: unknown) => logger.debug({ err: toError(thrown) }, 'left its row behind'));
}
