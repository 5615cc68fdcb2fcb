import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { RequestHandler } from 'express';
import helmet from 'helmet';
import { toError } from '../../platform/errors.js';

/** The page needs nothing from elsewhere; `'self'` covers the socket too (CSP 3: ws and wss of the same host). */
const contentSecurityPolicy = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    imgSrc: ["'self'", 'data:'],
    fontSrc: ["'self'"],
    connectSrc: ["'self'"],
    manifestSrc: ["'self'"],
    formAction: ["'self'"],
    baseUri: ["'none'"],
    frameAncestors: ["'none'"],
  },
};

/**
 * The headers of every answer. HSTS only in production: on localhost it would lock other projects into https. They are the same
 * for all, so helmet is asked once and not for each.
 */
export function securityHeaders({ isProduction }: { readonly isProduction: boolean }): RequestHandler {
  const apply = helmet({
    contentSecurityPolicy,
    frameguard: { action: 'deny' },
    referrerPolicy: { policy: 'strict-origin-when-cross-origin' },
    strictTransportSecurity: isProduction ? { maxAge: 31_536_000, includeSubDomains: true } : false,
  });
  const req = new IncomingMessage(new Socket());
  const sample = new ServerResponse(req);
  sample.setHeader('Permissions-Policy', 'camera=(), geolocation=(), microphone=(), payment=(), usb=()');
  apply(req, sample, (thrown) => {
    if (thrown !== undefined) throw toError(thrown);
  });
  const headers = Object.entries(sample.getHeaders()).map(([name, value]) => [name, String(value)] as const);
  return (_req, res, next) => {
    for (const [name, value] of headers) res.setHeader(name, value);
    next();
  };
}
