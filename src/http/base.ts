import express, { type Express, type RequestHandler } from 'express';
import type { ProbeDeps } from './deps.js';
import { callContext } from './middleware/call-context.js';
import { inOrder } from './middleware/in-order.js';
import { requestLog } from './middleware/request-log.js';
import { requestMetrics } from './middleware/request-metrics.js';
import { securityHeaders } from './middleware/security-headers.js';
import { probePath, probes } from './probes.js';

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
