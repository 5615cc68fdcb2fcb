import { isolatedArgument } from '../execution/isolation-messages.js';
import type { Feature } from '../features/feature.js';
import { systemClock } from '../platform/clock.js';
import { readConfig, type Config } from '../platform/config.js';
import { SynapError, toError } from '../platform/errors.js';
import { armFault } from '../platform/fault-points.js';
import { Lifecycle } from '../platform/lifecycle.js';
import { createLogger, type Logger } from '../platform/logger.js';

/**
 * One process of Synap with these features: the roles that SYNAP_ROLES names, all of them by default. It ends with a signal,
 * or at once with what keeps it from starting. A worker starts the same program again, with an argument, for a job that must
 * run alone.
 */
export async function runProgram(features: readonly Feature[]): Promise<void> {
  try {
    await (process.argv[2] === isolatedArgument ? startIsolated(features) : startProgram(features));
  } catch (thrown) {
    const error = toError(thrown);
    const message =
      error instanceof SynapError ? (error.publicMessage ?? error.message) : (error.stack ?? error.message);
    process.stderr.write(`synap: cannot start: ${message}\n`);
    process.exit(1);
  }
}

/** Each way loads what it needs: a process for one job should be there in a moment, and has no use for servers. */
async function startIsolated(features: readonly Feature[]): Promise<void> {
  const { runIsolated } = await import('./isolated.js');
  await runIsolated(features);
}

async function startProgram(features: readonly Feature[]): Promise<void> {
  const config = readConfig(process.env);
  armFault(config.fault);
  const logger = createLogger(config.log, { roles: config.roles });
  const lifecycle = new Lifecycle(systemClock, logger);
  stopOnSignals(lifecycle, config, logger);
  try {
    const { start } = await import('./start.js');
    await start(config, features, lifecycle, logger);
  } catch (thrown) {
    await lifecycle.stop(config.shutdownTimeoutMs);
    throw thrown;
  }
}

function stopOnSignals(lifecycle: Lifecycle, config: Config, logger: Logger): void {
  const onSignal = (signal: NodeJS.Signals): void => {
    if (lifecycle.draining) process.exit(1);
    logger.info({ signal }, 'stopping');
    void lifecycle.stop(config.shutdownTimeoutMs).then((clean) => {
      logger.info({ clean }, 'stopped');
      process.exit(clean ? 0 : 1);
    });
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
}
