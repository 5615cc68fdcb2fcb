import type { Request, RequestHandler, Response } from 'express';
import type { Metrics } from '../../platform/metrics.js';
import { elapsedMs, routeOf, statusOf } from './measure.js';

export function requestMetrics(metrics: Metrics): RequestHandler {
  const observe = (req: Request, res: Response): void => {
    const labels = { method: req.method, route: routeOf(req), status_code: statusOf(res) };
    metrics.httpRequests.inc(labels);
    if (req.call.isStream !== true) metrics.httpRequestDuration.observe(labels, elapsedMs(req) / 1_000);
    metrics.httpRequestSize.observe(labels, Number(req.headers['content-length'] ?? 0));
    metrics.httpResponseSize.observe(labels, Number(res.getHeader('content-length') ?? 0));
  };
  return (req, res, next) => {
    res.once('close', () => observe(req, res));
    next();
  };
}
