import type { Request, RequestHandler } from 'express';
import { SynapError } from '../platform/errors.js';

const reading = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Beside the cookie's SameSite=Strict, which trusts sibling subdomains. A browser says where a request comes from:
 * by Sec-Fetch-Site where the connection is secure, else by Origin. What says neither is no browser, and nobody's page can
 * make it act. (The order of Go's http.CrossOriginProtection.)
 */
export const requireSameOrigin: RequestHandler = (req, _res, next) => {
  if (reading.has(req.method) || isSameOrigin(req)) next();
  else
    next(
      new SynapError('forbidden', `cross-origin ${req.method}`, {
        publicMessage: 'This must come from the page itself.',
      }),
    );
};

function isSameOrigin(req: Request): boolean {
  const site = req.get('sec-fetch-site');
  if (site !== undefined) return site === 'same-origin' || site === 'none';
  const origin = req.get('origin');
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === req.host;
}
