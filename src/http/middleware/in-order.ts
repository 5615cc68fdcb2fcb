import type { RequestHandler } from 'express';

/**
 * Several handlers as one. To Express each is a layer, whose path it matches and whose call it wraps anew for every request; here
 * one follows the other.
 */
export function inOrder(handlers: readonly RequestHandler[]): RequestHandler {
  return (req, res, done) => {
    let index = 0;
    const next = (thrown?: unknown): void => {
      const handler = handlers[index++];
      if (handler === undefined || (thrown !== undefined && thrown !== null)) return done(thrown);
      try {
        const answer = handler(req, res, next);
        if (answer instanceof Promise) answer.catch(fail);
      } catch (error) {
        fail(error);
      }
    };
    // Whatever it is, what was thrown ends the call: `next(undefined)` would go on.
    const fail = (error: unknown): void => done(error ?? new Error('a handler threw nothing'));
    next();
  };
}
