import express, { type Express, type RequestHandler } from 'express';
import { SynapError } from '../platform/errors.js';
import { createBase } from './base.js';
import type { AppDeps } from './deps.js';
import { mountEndpoints, type Guards } from './endpoint.js';
import { endpointsOf } from './endpoints.js';
import { LocalCounters, type Counters } from './limits/counters.js';
import { SharedCounters } from './limits/shared-counters.js';
import { authenticateService, authenticateUser } from './middleware/authenticate.js';
import { cors } from './middleware/cors.js';
import { errorHandler, notFound } from './middleware/error-handler.js';
import { jsonBody } from './middleware/json-body.js';
import { rateLimit } from './middleware/rate-limit.js';
import { StoredServiceKeys } from './service-keys.js';

/** The public HTTP API, with the page and what others mount on it. Top to bottom is the way of a call. */
export function createApp(deps: AppDeps): Express {
  const counters = countersOf(deps);
  const guards = guardsOf(deps, counters);
  const app = createBase(deps);
  app.use(cors(deps.config.http.allowedOrigins));
  for (const { path, router } of deps.mounts ?? []) app.use(path, inArea(path), router);
  app.use(mountEndpoints(endpointsOf(deps, counters), guards));
  if (deps.clientDirectory !== undefined) app.use('/client', servePage(deps.clientDirectory));
  if (deps.pageDirectory !== undefined) app.use(servePage(deps.pageDirectory));
  if (deps.examplesDirectory !== undefined) app.use('/examples/', servePage(deps.examplesDirectory));
  app.use(guards.rateLimit, notFound);
  app.use(errorHandler(deps));
  return app;
}

export type GuardDeps = Pick<AppDeps, 'config' | 'database' | 'redis' | 'clock' | 'logger' | 'tokens' | 'admission'>;

export function countersOf({ redis, config, clock, logger }: GuardDeps): Counters {
  if (redis === undefined) return new LocalCounters(clock);
  return new SharedCounters({ redis, prefix: `${config.queues.prefix}:limit:`, clock, logger });
}

export function guardsOf(
  { config, database, clock, logger, tokens, admission }: GuardDeps,
  counters: Counters,
): Guards {
  const serviceKeys = new StoredServiceKeys({ apiKey: config.auth.apiKey, sql: database.sql, clock });
  return {
    admission: admission?.guard ?? ((_req, _res, next) => next()),
    rateLimit: rateLimit({ config: config.rateLimit, counters, serviceKeys, logger }),
    maintenance: refuseInMaintenance(config.http.isInMaintenance),
    user: authenticateUser(tokens),
    userByQuery: authenticateUser(tokens, { inQuery: true }),
    service: (scope) => authenticateService(serviceKeys, scope),
    json: jsonBody(config.http.bodyLimitBytes),
  };
}

function inArea(path: string): RequestHandler {
  return (req, _res, next) => {
    req.call.area = path;
    next();
  };
}

/** Names of assets carry no hash, so browsers ask each time and are mostly told 304. */
function servePage(directory: string): RequestHandler {
  return express.static(directory, {
    redirect: false,
    maxAge: 0,
    setHeaders: (res) => Object.assign(res.req.call, { area: 'page', isQuiet: true }),
  });
}

function refuseInMaintenance(isInMaintenance: boolean): RequestHandler {
  return (_req, _res, next) => {
    next(
      isInMaintenance ? new SynapError('maintenance', 'MAINTENANCE_MODE is on', { retryAfterMs: 60_000 }) : undefined,
    );
  };
}
