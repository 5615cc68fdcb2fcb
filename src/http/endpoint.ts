import { Router, type Request, type RequestHandler, type Response } from 'express';
import { SynapError } from '../platform/errors.js';
import { inOrder } from './middleware/in-order.js';

/** One method of one path. A file in routes/ makes one. */
export interface Endpoint {
  readonly method: 'get' | 'post' | 'put' | 'delete';
  /** Express syntax. */
  readonly path: string;
  /** Who may call: a signed-in user, a service with the scope, anybody. */
  readonly access: 'user' | 'anybody' | { readonly scope: string };
  /** Whether a user's token may be in the query, where a client cannot send headers. */
  readonly takesTokenInQuery?: boolean;
  /** Whether it takes a JSON body. */
  readonly takesJson?: boolean;
  handle(req: Request, res: Response): Promise<void> | void;
}

/** What stands before every endpoint, in this order. */
export interface Guards {
  /** Before what writes, and before anything else. */
  readonly admission: RequestHandler;
  readonly rateLimit: RequestHandler;
  /** Before what writes. */
  readonly maintenance: RequestHandler;
  readonly user: RequestHandler;
  readonly userByQuery: RequestHandler;
  readonly service: (scope: string) => RequestHandler;
  readonly json: readonly RequestHandler[];
}

/** A router with all endpoints; other methods of their paths are answered 405. */
export function mountEndpoints(endpoints: readonly Endpoint[], guards: Guards): Router {
  const router = Router();
  for (const [path, group] of Map.groupBy(endpoints, (endpoint) => endpoint.path)) {
    const route = router.route(path);
    for (const endpoint of group) route[endpoint.method](inOrder(chain(endpoint, guards)));
    route.all(guards.rateLimit, refuseMethod(group));
  }
  return router;
}

function chain(endpoint: Endpoint, guards: Guards): RequestHandler[] {
  const { admission, rateLimit, maintenance, json } = guards;
  return [
    ...(mayBeShed(endpoint) ? [admission] : []),
    rateLimit,
    privately,
    ...authentication(endpoint, guards),
    ...(endpoint.method === 'get' ? [] : [maintenance]),
    ...(endpoint.takesJson === true ? json : []),
    (req, res) => endpoint.handle(req, res),
  ];
}

function authentication({ access, takesTokenInQuery }: Endpoint, guards: Guards): RequestHandler[] {
  if (access === 'anybody') return [];
  if (access === 'user') return [takesTokenInQuery === true ? guards.userByQuery : guards.user];
  return [guards.service(access.scope)];
}

/** Operators are let in: what they do may be what ends the overload. */
function mayBeShed({ method, access }: Endpoint): boolean {
  const isOfOperators = typeof access === 'object' && access.scope === 'admin';
  return method !== 'get' && !isOfOperators;
}

/** What belongs to one user is no matter for caches. */
const privately: RequestHandler = (_req, res, next) => {
  res.setHeader('Cache-Control', 'no-store');
  next();
};

function refuseMethod(group: readonly Endpoint[]): RequestHandler {
  const methods = group
    .flatMap(({ method }) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]))
    .join(', ');
  return (req, res) => {
    res.setHeader('Allow', methods);
    throw new SynapError('method_not_allowed', `${req.method} ${req.path}`, { publicMessage: `Allowed: ${methods}.` });
  };
}
