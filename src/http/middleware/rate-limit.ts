import type { Request, RequestHandler } from 'express';
import { ipKeyGenerator, rateLimit as expressRateLimit } from 'express-rate-limit';
import type { Config } from '../../platform/config.js';
import { SynapError } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import type { Counters } from '../limits/counters.js';
import { WindowStore } from '../limits/window-store.js';
import type { ServiceKeys } from '../service-keys.js';

/** Who goes on at this many times the limit is not a page in a loop any more. */
const banFactor = 10;
/** A service speaks for many users. */
const serviceFactor = 10;

export interface RateLimitDeps {
  readonly config: Config['rateLimit'];
  readonly counters: Counters;
  readonly serviceKeys: ServiceKeys;
  readonly logger: Logger;
}

/**
 * Anonymous and user traffic is counted by IP address, services by their key. Only a key that is valid counts as a service,
 * or a made-up X-API-Key would be the way around.
 */
export function rateLimit(deps: RateLimitDeps): RequestHandler {
  const { max, windowMs, banMs } = deps.config;
  const ban = banMs > 0 ? { ban: { after: max * banFactor, forMs: banMs } } : {};
  const byAddress = limiter(deps, max, new WindowStore('ip:', deps.counters, { windowMs, ...ban }), addressOf);
  const byService = limiter(
    deps,
    max * serviceFactor,
    new WindowStore('service:', deps.counters, { windowMs }),
    serviceOf,
  );

  return async (req, res, next) => {
    const key = req.get('x-api-key');
    if (key !== undefined) {
      const service = await deps.serviceKeys.verify(key);
      if (service !== undefined) {
        req.call.service = service;
        return byService(req, res, next);
      }
    }
    return byAddress(req, res, next);
  };
}

// An IPv6 customer has a whole /56; counting single addresses would limit nobody.
const addressOf = (req: Request): string => ipKeyGenerator(req.ip ?? 'unknown');
const serviceOf = (req: Request): string => req.call.service?.id ?? 'unknown';

function limiter(
  deps: RateLimitDeps,
  limit: number,
  store: WindowStore,
  keyGenerator: (req: Request) => string,
): RequestHandler {
  const { windowMs } = deps.config;
  return expressRateLimit({
    windowMs,
    limit,
    store,
    keyGenerator,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    identifier: store.prefix === 'ip:' ? 'address' : 'service',
    logger: deps.logger,
    handler: (_req, _res, next) => {
      // Retry-After is set already, from the end of the window.
      next(
        new SynapError('rate_limited', 'too many requests', {
          publicMessage: `${limit} requests in ${windowMs / 1_000} s are allowed.`,
        }),
      );
    },
  });
}
