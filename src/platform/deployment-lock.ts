import pg from 'pg';
import type { Clock } from './clock.js';
import { SynapError, toError } from './errors.js';
import type { Logger } from './logger.js';

export interface DeploymentLockOptions {
  readonly databaseUrl: string;
  /** A single node must be alone on its database; processes that share a Redis may be many, but not beside a single node. */
  readonly kind: 'alone' | 'shared';
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when the lock was lost with its connection and somebody else has it now. */
  readonly onLost: (error: SynapError) => void;
}

export interface DeploymentLock {
  release(): Promise<void>;
}

// "synap" as a number; any fixed one would do.
const lockKey = 0x73796e61;
const retryMs = 2_000;

/**
 * An advisory lock on the database, held for the life of the process by a connection of its own. Without Redis, rooms and
 * queue wake-ups live in one process: a second one would miss half of them in silence.
 * @throws SynapError `start_failed` where another process forbids this one.
 */
export async function acquireDeploymentLock(options: DeploymentLockOptions): Promise<DeploymentLock> {
  let isReleased = false;
  let client: pg.Client | undefined;
  let cancelRetry: () => void = () => undefined;

  const connect = async (): Promise<void> => {
    const fresh = new pg.Client({
      connectionString: options.databaseUrl,
      application_name: 'synap-lock',
      keepAlive: true,
    });
    fresh.on('error', (error) => options.logger.debug({ err: error }, 'the deployment lock lost its connection'));
    await fresh.connect();
    if (!(await tryLock(fresh, options.kind))) {
      await fresh.end();
      throw refused(options.kind);
    }
    fresh.on('end', retry);
    client = fresh;
  };
  const retry = (): void => {
    if (isReleased) return;
    cancelRetry = options.clock.after(retryMs, () => {
      connect().catch((thrown: unknown) => {
        if (thrown instanceof SynapError) options.onLost(thrown);
        else {
          options.logger.debug({ err: toError(thrown) }, 'the deployment lock waits for the database');
          retry();
        }
      });
    });
  };

  await connect().catch((thrown: unknown) => {
    throw thrown instanceof SynapError ? thrown : outOfReach(options.databaseUrl, thrown);
  });
  return {
    async release() {
      isReleased = true;
      cancelRetry();
      await client?.end();
    },
  };
}

async function tryLock(client: pg.Client, kind: DeploymentLockOptions['kind']): Promise<boolean> {
  const name = kind === 'alone' ? 'pg_try_advisory_lock' : 'pg_try_advisory_lock_shared';
  const { rows } = await client.query<{ locked: boolean }>(`SELECT ${name}($1) AS locked`, [lockKey]);
  return rows[0]?.locked === true;
}

function refused(kind: DeploymentLockOptions['kind']): SynapError {
  const message =
    kind === 'alone'
      ? 'another Synap process uses this database, and without REDIS_URL there can be only one; set REDIS_URL for all of them to run several'
      : 'a Synap process without REDIS_URL uses this database; stop it, or give it the same REDIS_URL';
  return new SynapError('start_failed', message, { publicMessage: message });
}

/** Host, port and name, never the password. */
function outOfReach(databaseUrl: string, thrown: unknown): SynapError {
  const { host, pathname } = new URL(databaseUrl);
  const message = `PostgreSQL at ${host}${pathname} is out of reach: ${toError(thrown).message}`;
  return new SynapError('start_failed', message, { publicMessage: message, cause: thrown });
}
