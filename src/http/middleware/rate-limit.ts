import { hash } from 'node:crypto';
import type { Request, RequestHandler } from 'express';
import { ipKeyGenerator, rateLimit as expressRateLimit, type RateLimitInfo } from 'express-rate-limit';
import type { Config } from '../../platform/config.js';
import { SynapError } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import type { Counters } from '../limits/counters.js';
import { WindowStore } from '../limits/window-store.js';
import { addressOfCall } from '../call.js';
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
const addressOf = (req: Request): string => ipKeyGenerator(addressOfCall(req) ?? 'unknown');
const serviceOf = (req: Request): string => req.call.service?.id ?? 'unknown';

function limiter(
  deps: RateLimitDeps,
  limit: number,
  store: WindowStore,
  keyGenerator: (req: Request) => string,
): RequestHandler {
  const { windowMs } = deps.config;
  const name = store.prefix === 'ip:' ? 'address' : 'service';
  const limited = expressRateLimit({
    windowMs,
    limit,
    store,
    keyGenerator,
    // They are written below.
    standardHeaders: false,
    legacyHeaders: false,
    // That a call is counted once is held by a test; here it would be a map for each call.
    validate: { singleCount: false },
    logger: deps.logger,
    handler: (req, _res, next) => {
      next(
        new SynapError('rate_limited', 'too many requests', {
          publicMessage: `${limit} requests in ${windowMs / 1_000} s are allowed.`,
          retryAfterMs: secondsLeft(infoOf(req), windowMs) * 1_000,
        }),
      );
    },
  });
  const policyOf = policies(`"${name}"; q=${limit}; w=${Math.ceil(windowMs / 1_000)}`);
  return (req, res, next) =>
    limited(req, res, (thrown?: unknown) => {
      const info = infoOf(req);
      if (info !== undefined) {
        res.setHeader('RateLimit', `"${name}"; r=${info.remaining}; t=${secondsLeft(info, windowMs)}`);
        res.setHeader('RateLimit-Policy', policyOf(info.key));
      }
      next(thrown);
    });
}

/** Where express-rate-limit leaves what it counted. */
const infoOf = (req: Request) => Reflect.get(req, 'rateLimit') as RateLimitInfo | undefined;

const secondsLeft = (info: RateLimitInfo | undefined, windowMs: number): number =>
  Math.max(0, Math.ceil((info?.resetTime === undefined ? windowMs : info.resetTime.getTime() - Date.now()) / 1_000));

const maxPolicies = 10_000;

/**
 * The header RateLimit-Policy as draft 8 has it, with a partition key that tells callers apart and not who they are. The library
 * makes the same, from a digest for each call.
 */
function policies(rule: string): (key: string) => string {
  const known = new Map<string, string>();
  return (key) => {
    const found = known.get(key);
    if (found !== undefined) return found;
    const partition = Buffer.from(hash('sha256', key, 'hex').slice(0, 12)).toString('base64');
    const policy = `${rule}; pk=:${partition}:`;
    if (known.size >= maxPolicies) known.delete(known.keys().next().value ?? '');
    known.set(key, policy);
    return policy;
  };
}
