import type { Express, RequestHandler } from 'express';
import { createBase } from './base.js';
import type { ProbeDeps } from './deps.js';
import { errorHandler, notFound } from './middleware/error-handler.js';

/** For the internal port of every process: metrics and probes, to be reached from inside the deployment only. */
export function createInternalApp(deps: ProbeDeps): Express {
  const app = createBase(deps);
  if (deps.config.metrics.enabled) app.get('/metrics', serveMetrics(deps));
  return closed(app, deps);
}

/** For the public port of a process without the api role: probes, and nothing else beside what is attached to its server. */
export function createProbeApp(deps: ProbeDeps): Express {
  return closed(createBase(deps), deps);
}

function closed(app: Express, deps: ProbeDeps): Express {
  app.use(notFound);
  app.use(errorHandler(deps));
  return app;
}

function serveMetrics({ metrics }: ProbeDeps): RequestHandler {
  return async (req, res) => {
    req.call.isQuiet = true;
    const text = await metrics.registry.metrics();
    res.setHeader('Content-Type', metrics.registry.contentType);
    res.send(text);
  };
}
