import type { Request, RequestHandler, Response } from 'express';
import { pinoHttp } from 'pino-http';
import type { Logger } from '../../platform/logger.js';
import { addressOfCall } from '../call.js';
import { elapsedMs, routeOf, statusOf } from './measure.js';

/**
 * One line per answered call. It is made of the call's facts alone: headers, query strings and bodies may hold secrets.
 * What went wrong inside is logged by the error handler, beside the stack.
 */
export function requestLog(logger: Logger): RequestHandler {
  return pinoHttp<Request, Response>({
    logger,
    // pino-http serializes the request for every child logger, whether a line is written or not.
    serializers: { req: nothing },
    wrapSerializers: false,
    // The facts below hold no secret by construction; looking for one in every line took as long as writing it.
    redact: [],
    genReqId: (req) => req.call.httpRequestId,
    customLogLevel: levelOf,
    customSuccessMessage: message,
    customErrorMessage: message,
    customSuccessObject: facts,
    customErrorObject: facts,
  });
}

const nothing = (): undefined => undefined;

function levelOf({ call }: Request, res: Response): 'silent' | 'info' | 'warn' {
  if (call.isQuiet === true) return 'silent';
  return res.statusCode >= 500 ? 'warn' : 'info';
}

const message = (req: Request, res: Response): string => `${req.method} ${pathOf(req)} ${statusOf(res)}`;

function facts(req: Request, res: Response) {
  const { httpRequestId, requestId, userId, service } = req.call;
  return {
    httpRequestId,
    requestId,
    userId,
    service: service?.id,
    method: req.method,
    path: pathOf(req),
    route: routeOf(req),
    status: statusOf(res),
    durationMs: Math.round(elapsedMs(req) * 10) / 10,
    ip: addressOfCall(req),
  };
}

const pathOf = (req: Request): string => req.originalUrl.split('?', 1)[0] ?? '';
