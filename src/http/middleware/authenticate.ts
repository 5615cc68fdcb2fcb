import type { RequestHandler } from 'express';
import { SynapError } from '../../platform/errors.js';
import type { Tokens } from '../../platform/tokens.js';
import type { ServiceKeys } from '../service-keys.js';

/** `Authorization: Bearer <JWT>`; the call belongs to the token's user. */
export function authenticateUser(tokens: Tokens): RequestHandler {
  return async (req, _res, next) => {
    const [, token] = /^Bearer +(\S+)$/i.exec(req.headers.authorization ?? '') ?? [];
    if (token === undefined) {
      throw new SynapError('unauthenticated', 'no bearer token', {
        publicMessage: 'Send Authorization: Bearer <token>.',
      });
    }
    req.call.userId = (await tokens.verify(token)).userId;
    next();
  };
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
