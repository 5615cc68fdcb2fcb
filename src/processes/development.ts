import path from 'node:path';
import type { Config } from '../platform/config.js';
import { newDevelopmentState, readDevelopmentState, writeDevelopmentState } from '../platform/development-state.js';
import { startEmbeddedPostgres } from '../platform/embedded-postgres.js';
import type { Lifecycle } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';

/** What a process needs and production configures. */
export interface Provisions {
  readonly config: Config;
  readonly databaseUrl: string;
  readonly jwtSecret: string | undefined;
}

/** In production everything is configured (readConfig insists); elsewhere what is missing is made up, once, and kept. */
export async function provision(
  config: Config,
  port: number,
  lifecycle: Lifecycle,
  logger: Logger,
): Promise<Provisions> {
  const { url, jwtSecret } = { url: config.database.url, jwtSecret: config.auth.jwtSecret };
  if (config.isProduction && url !== undefined) return { config, databaseUrl: url, jwtSecret };

  const databaseUrl = url ?? (await startPostgres(config.directory, lifecycle, logger));
  const known = (await readDevelopmentState(config.directory)) ?? newDevelopmentState();
  const auth = {
    ...config.auth,
    jwtSecret: jwtSecret ?? known.jwtSecret,
    apiKey: config.auth.apiKey ?? known.apiKey,
    operatorPassword: config.auth.operatorPassword ?? known.operatorPassword,
  };
  await writeDevelopmentState(config.directory, {
    ...known,
    ...{ databaseUrl, url: `http://localhost:${port}`, pid: process.pid },
    redisUrl: config.redis.url,
  });
  return { config: { ...config, auth }, databaseUrl, jwtSecret: auth.jwtSecret };
}

async function startPostgres(directory: string, lifecycle: Lifecycle, logger: Logger): Promise<string> {
  const postgres = await startEmbeddedPostgres({ directory: path.join(directory, 'postgres'), logger });
  lifecycle.onStop('embedded PostgreSQL', () => postgres.stop());
  return postgres.databaseUrl;
}
