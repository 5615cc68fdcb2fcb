import express, { type Express, type RequestHandler } from 'express';
import { SynapError } from '../platform/errors.js';
import type { AppDeps, ProbeDeps } from './deps.js';
import { mountEndpoints, type Guards } from './endpoint.js';
import { endpointsOf } from './endpoints.js';
import { LocalCounters, type Counters } from './limits/counters.js';
import { SharedCounters } from './limits/shared-counters.js';
import { authenticateService, authenticateUser } from './middleware/authenticate.js';
import { callContext } from './middleware/call-context.js';
import { cors } from './middleware/cors.js';
import { errorHandler, notFound } from './middleware/error-handler.js';
import { inOrder } from './middleware/in-order.js';
import { jsonBody } from './middleware/json-body.js';
import { rateLimit } from './middleware/rate-limit.js';
import { requestLog } from './middleware/request-log.js';
import { requestMetrics } from './middleware/request-metrics.js';
import { securityHeaders } from './middleware/security-headers.js';
import { probePath, probes } from './probes.js';
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

/** What every server of Synap begins with: the call's context, its log line, its metrics, headers, and probes. */
export function createBase(deps: ProbeDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  // Answers belong to one user and change with every event: hashing each for an ETag would buy nothing.
  app.disable('etag');
  app.set('query parser', 'simple');
  app.set('trust proxy', deps.config.http.trustProxy);
  app.use(
    inOrder([
      callContext,
      requestLog(deps.logger),
      requestMetrics(deps.metrics),
      securityHeaders(deps.config),
      leaveWhenDraining(deps),
      onProbes(probes(deps)),
    ]),
  );
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

/** Most calls are none: their way should not lead through the routes of these. */
function onProbes(handle: RequestHandler): RequestHandler {
  return (req, res, next) => (probePath.test(req.path) ? handle(req, res, next) : next());
}

/** A connection that is kept alive would hold the old process up: its client is told to open another. */
function leaveWhenDraining({ lifecycle }: ProbeDeps): RequestHandler {
  return (_req, res, next) => {
    if (lifecycle.draining) res.setHeader('Connection', 'close');
    next();
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
