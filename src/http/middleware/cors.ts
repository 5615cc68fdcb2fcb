import type { RequestHandler } from 'express';

const methods = 'GET, POST, PUT, DELETE';
const requestHeaders =
  'Content-Type, Authorization, X-API-Key, Idempotency-Key, X-Request-ID, X-File-Name, Last-Event-ID';
const readableHeaders = 'X-Request-ID, Location, Content-Disposition, ETag, Retry-After, RateLimit, RateLimit-Policy';
const preflightSeconds = '600';

/**
 * Pages of the allowed origins may call the API with credentials. Others get no CORS header, so their browsers keep the
 * answer from them; nothing here depends on cookies, so there is nothing to forge.
 */
export function cors(allowedOrigins: readonly string[]): RequestHandler {
  const allowed = new Set(allowedOrigins);
  return (req, res, next) => {
    // The first to say anything of it: nothing needs to be merged.
    res.setHeader('Vary', 'Origin');
    const { origin } = req.headers;
    const isAllowed = origin !== undefined && allowed.has(origin);
    if (isAllowed) {
      res.setHeader('Access-Control-Allow-Origin', origin);
      res.setHeader('Access-Control-Allow-Credentials', 'true');
      res.setHeader('Access-Control-Expose-Headers', readableHeaders);
    }
    if (req.method !== 'OPTIONS' || req.headers['access-control-request-method'] === undefined) return next();
    if (isAllowed) {
      res.setHeader('Access-Control-Allow-Methods', methods);
      res.setHeader('Access-Control-Allow-Headers', requestHeaders);
      res.setHeader('Access-Control-Max-Age', preflightSeconds);
    }
    req.call.area = 'preflight';
    res.status(204).end();
  };
}
