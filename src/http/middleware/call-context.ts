import { randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';
import { withContext } from '../../platform/context.js';

const acceptable = /^[A-Za-z0-9._:-]{1,128}$/;

/** Gives the call its id: the caller's own X-Request-ID where that is safe in a log line, else a new one. */
export const callContext: RequestHandler = (req, res, next) => {
  const given = req.headers['x-request-id'];
  const httpRequestId = typeof given === 'string' && acceptable.test(given) ? given : randomUUID();
  req.call = { httpRequestId, startedAt: performance.now() };
  res.setHeader('X-Request-ID', httpRequestId);
  withContext({ httpRequestId }, next);
};
