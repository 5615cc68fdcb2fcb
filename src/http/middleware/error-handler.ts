import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express';
import { SynapError, toError } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import type { Metrics } from '../../platform/metrics.js';
import { toProblem, toSynapError } from '../problem.js';

/** The one place where errors become answers: problem+json outside, the whole story in the log. */
export function errorHandler({
  logger,
  metrics,
}: {
  readonly logger: Logger;
  readonly metrics: Metrics;
}): ErrorRequestHandler {
  return (thrown: unknown, req, res, _next) => {
    if (hasLeft(thrown, res)) return;
    const error = toSynapError(thrown);
    if (error.status === 500) {
      metrics.applicationErrors.inc({ type: toError(error.cause ?? error).name, severity: 'error' });
      logger.error({ err: error.cause ?? error, route: req.path }, 'a call failed for a reason inside');
    } else if (error.status === 503 && req.call.isQuiet !== true) {
      logger.warn({ err: error, route: req.path }, 'a call could not be served');
    }
    // Half an answer cannot be taken back; a broken connection tells the client that it is not whole.
    if (res.headersSent) res.destroy();
    else sendProblem(req, res, error);
  };
}

/** A client that closed the connection in the middle of an answer: nobody is there to tell, and nothing has failed. */
function hasLeft(thrown: unknown, res: Response): boolean {
  return res.closed && thrown instanceof Error && 'code' in thrown && thrown.code === 'ERR_STREAM_PREMATURE_CLOSE';
}

export const notFound: RequestHandler = (req) => {
  throw new SynapError('not_found', `no route ${req.path}`);
};

function sendProblem(req: Request, res: Response, error: SynapError): void {
  const { httpRequestId } = req.call;
  if (error.retryAfterMs !== undefined)
    res.setHeader('Retry-After', Math.max(1, Math.ceil(error.retryAfterMs / 1_000)));
  if (error.status === 401) res.setHeader('WWW-Authenticate', 'Bearer realm="synap"');
  res
    .status(error.status)
    .setHeader('Cache-Control', 'no-store')
    .type('application/problem+json')
    .send(JSON.stringify({ ...toProblem(error), instance: req.originalUrl.split('?', 1)[0], httpRequestId }));
}
