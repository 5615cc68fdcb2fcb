import { Router, type RequestHandler } from 'express';
import type { Store } from 'express-rate-limit';
import type { Database } from '../platform/database.js';
import type { Clock } from '../platform/clock.js';
import type { Logger } from '../platform/logger.js';
import type { JobAdministration } from '../execution/administration.js';
import type { QueueBackend } from '../queues/backend.js';
import type { BoardOptions } from './board.js';
import { boardStyleSheet, closedPage, styleSheet } from './pages.js';
import { requireSameOrigin } from './same-origin.js';
import { createSessions } from './session.js';
import { requireOperator, signInRoutes } from './sign-in.js';

export interface OperationsOptions {
  /** Where the app mounts this router: `/admin`. */
  readonly path: string;
  readonly backend: QueueBackend;
  /** The names of all queues. */
  readonly queues: readonly string[];
  readonly administration: JobAdministration;
  readonly database: Pick<Database, 'pool' | 'sql'>;
  /** Without a password nobody can sign in, and the pages say how to set one. */
  readonly operator: { readonly name: string; readonly password: string | undefined };
  /** The key of the session cookies is derived from it. */
  readonly secret: string;
  readonly environment: string;
  readonly isProduction: boolean;
  /** Where failed attempts to sign in are counted; in the memory of this process by default. */
  readonly attempts?: Store;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Sign-in, and behind it Bull Board. */
export function createOperationsRouter(options: OperationsOptions): Router {
  const { path, database, operator, secret, isProduction, attempts, clock } = options;
  const router = Router();
  router.use(pageHeaders);
  router.get('/pages.css', serveStyles(styleSheet));
  router.get('/board.css', serveStyles(boardStyleSheet));
  if (operator.password === undefined) {
    router.use((req, res) => void res.status(503).send(closedPage(req.baseUrl)));
    return router;
  }
  const sessions = createSessions(secret, { name: operator.name, password: operator.password }, () => clock.now());
  router.use(requireSameOrigin);
  router.use(signInRoutes({ sessions, sql: database.sql, isProduction, ...(attempts && { attempts }) }));
  router.use(requireOperator(sessions));
  router.get('/', (req, res) => res.redirect(303, `${req.baseUrl}/queues`));
  router.use('/queues', boardHeaders, lazyBoard({ ...options, basePath: `${path}/queues` }));
  return router;
}

/** Loaded for the first operator who comes: most processes never see one. */
function lazyBoard(options: BoardOptions): RequestHandler {
  let loading: Promise<Router> | undefined;
  const load = async (): Promise<Router> => {
    const { createBoard } = await import('./board.js');
    return Router().use(createBoard(options));
  };
  return async (req, res, next) => {
    loading ??= load();
    const board = await loading.catch((thrown: unknown) => {
      // The next operator tries again.
      loading = undefined;
      throw thrown;
    });
    board(req, res, next);
  };
}

function serveStyles(css: string): RequestHandler {
  return (_req, res) => void res.set('Cache-Control', 'public, max-age=300').type('css').send(css);
}

const policy = (directives: Record<string, string>): string =>
  Object.entries({
    'default-src': "'none'",
    'base-uri': "'none'",
    'form-action': "'self'",
    'frame-ancestors': "'none'",
    ...directives,
  })
    .map(([name, value]) => `${name} ${value}`)
    .join('; ');

/** Our own pages: a stylesheet and a form. */
const pagePolicy = policy({ 'style-src': "'self'", 'img-src': "'self' data:" });

/** Bull Board: its own scripts only. Its page and its menus carry inline styles, which cannot be told apart by a hash. */
const boardPolicy = policy({
  'script-src': "'self'",
  'style-src': "'self' 'unsafe-inline'",
  'img-src': "'self' data:",
  'font-src': "'self'",
  'connect-src': "'self'",
  'base-uri': "'self'",
});

const pageHeaders: RequestHandler = (_req, res, next) => {
  res.set({
    'Content-Security-Policy': pagePolicy,
    'Cache-Control': 'no-store',
    'X-Frame-Options': 'DENY',
    'X-Content-Type-Options': 'nosniff',
  });
  // A stricter policy than this would send forms with "Origin: null".
  res.set('Referrer-Policy', 'same-origin');
  next();
};

const boardHeaders: RequestHandler = (req, res, next) => {
  res.set('Content-Security-Policy', boardPolicy);
  // The names of its assets carry a hash.
  if (req.path.startsWith('/static/')) res.set('Cache-Control', 'private, max-age=86400');
  next();
};
