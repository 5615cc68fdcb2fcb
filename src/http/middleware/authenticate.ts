import type { Request, RequestHandler } from 'express';
import { SynapError } from '../../platform/errors.js';
import type { Tokens } from '../../platform/tokens.js';
import type { ServiceKeys } from '../service-keys.js';

/**
 * `Authorization: Bearer <JWT>`; the call belongs to the token's user. `inQuery`: also `?access_token=`, for EventSource, which cannot
 * send headers. No part of Synap writes a query to a log.
 */
export function authenticateUser(tokens: Tokens, { inQuery = false } = {}): RequestHandler {
  return async (req, _res, next) => {
    const token = bearerOf(req) ?? (inQuery ? queryTokenOf(req) : undefined);
    if (token === undefined) {
      throw new SynapError('unauthenticated', 'no bearer token', {
        publicMessage: 'Send Authorization: Bearer <token>.',
      });
    }
    const { userId, expiresAt } = await tokens.verify(token);
    Object.assign(req.call, { userId, tokenExpiresAt: expiresAt });
    next();
  };
}

const bearerOf = (req: Request) => /^Bearer +(\S+)$/i.exec(req.headers.authorization ?? '')?.[1];

function queryTokenOf({ query }: Request): string | undefined {
  const given = query['access_token'];
  return typeof given === 'string' && given !== '' ? given : undefined;
}

/** `X-API-Key` of a service that holds `scope`. */
export function authenticateService(keys: ServiceKeys, scope: string): RequestHandler {
  return async (req, _res, next) => {
    const key = req.get('x-api-key');
    if (key === undefined) throw new SynapError('unauthenticated', 'no API key', { publicMessage: 'Send X-API-Key.' });
    const service = req.call.service ?? (await keys.verify(key));
    if (service === undefined) {
      throw new SynapError('token_invalid', 'unknown API key', { publicMessage: 'The API key is not valid.' });
    }
    if (!service.scopes.includes(scope)) {
      throw new SynapError('forbidden', `service ${service.id} lacks "${scope}"`, {
        publicMessage: `This API key does not have the scope "${scope}".`,
      });
    }
    req.call.service = service;
    next();
  };
}
