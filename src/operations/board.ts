import { createBullBoard } from '@bull-board/api';
import type { AppViewRoute, BeforeHookResult, HookContext, UIConfig } from '@bull-board/api/typings/app';
import { ExpressAdapter } from '@bull-board/express';
import type { RequestHandler } from 'express';
import type { JobAdministration } from '../execution/administration.js';
import type { Clock } from '../platform/clock.js';
import { isConnectionLoss, type Database } from '../platform/database.js';
import { SynapError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import type { QueueBackend } from '../queues/backend.js';
import { DeadLetterAdapter, deadLetterQueue } from './dead-letter-adapter.js';
import { DeadLetters } from './dead-letters.js';
import { LiveQueueAdapter } from './live-queue-adapter.js';
import { Waiting } from './waiting.js';

export interface BoardOptions {
  /** Where it is mounted, from the root: Bull Board writes it into its page. */
  readonly basePath: string;
  readonly backend: QueueBackend;
  readonly queues: readonly string[];
  readonly administration: JobAdministration;
  readonly database: Pick<Database, 'pool' | 'sql'>;
  readonly environment: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What a press of a button may do here; everything else is refused with the reason. */
const allowedActs = new Set([
  'put /api/queues/pause',
  'put /api/queues/resume',
  'put /api/queues/:queueName/pause',
  'put /api/queues/:queueName/resume',
  'put /api/queues/:queueName/promote',
  'put /api/queues/:queueName/retry/:queueStatus',
  'put /api/queues/:queueName/clean/:queueStatus',
  'put /api/queues/:queueName/:jobId/retry',
  'put /api/queues/:queueName/:jobId/clean',
  'put /api/queues/:queueName/:jobId/promote',
]);

const cleanable = new Set(['completed', 'wait', 'waiting', 'prioritized', 'delayed', 'failed']);

/** Bull Board over all queues and the dead letters; the caller lets only operators come here. */
export function createBoard(options: BoardOptions): RequestHandler[] {
  const { backend, queues, administration, database, clock, logger, basePath } = options;
  const waiting = new Waiting({ pool: database.pool, queues, clock, logger });
  const describe = (queue: string) => waiting.describe(queue);
  const live = queues.map(
    (name) => new LiveQueueAdapter({ queue: backend.queue(name), administration, describe, clock, logger }),
  );
  const deadLetters = new DeadLetterAdapter({
    deadLetters: new DeadLetters(database),
    administration,
    backend,
    clock,
    logger,
    describe: (shown) => waiting.describeDeadLetters(shown),
  });
  const server = new BoardServer();
  server.setBasePath(basePath);
  createBullBoard({
    queues: [...live, deadLetters],
    serverAdapter: server,
    options: { uiConfig: uiConfig(options), handlerHooks: { before: refuseOthers } },
  });
  server.setErrorHandler((error) => toAnswer(error, logger));
  const router = server.getRouter() as RequestHandler;
  const refresh: RequestHandler = async (req, _res, next) => {
    if (req.method === 'GET' && req.path === '/api/queues') await waiting.refresh();
    next();
  };
  return [requireStore(backend, clock), refresh, router];
}

/** Bull Board's page, without the fonts it would fetch from elsewhere, and with a stylesheet of ours. */
class BoardServer extends ExpressAdapter {
  constructor() {
    super();
    this.app.disable('x-powered-by');
  }

  override setEntryRoute({ route, handler }: AppViewRoute): this {
    this.app.get(route, (_req, res, next) => {
      const { name, params } = handler({ basePath: this.basePath, uiConfig: this.uiConfig });
      res.render(name, params, (error: Error | null, html?: string) => {
        if (html === undefined) next(error);
        else
          res.send(
            html
              .replaceAll(/<link [^>]*href="https?:[^>]*>/g, '')
              .replace('</head>', '<link rel="stylesheet" href="../board.css"></head>'),
          );
      });
    });
    return this;
  }
}

function uiConfig({ basePath, environment, backend }: BoardOptions): UIConfig {
  return {
    boardTitle: 'Synap',
    environment: {
      label: `${environment}, queues in ${backend.mode === 'redis' ? 'Redis' : 'Postgres'}`,
      color: '#2f5bd3',
      textColor: '#fff',
    },
    miscLinks: [{ text: 'Sign out', url: basePath.replace(/\/[^/]*$/, '/sign-out') }],
    hideDocsLink: true,
  };
}

function refuseOthers({ method, route, request }: HookContext): BeforeHookResult {
  if (method === 'get') return { allow: true };
  const { queueName, queueStatus } = request.params as { queueName?: string; queueStatus?: string };
  const isAllowed = allowedActs.has(`${method} ${route}`);
  if (!isAllowed)
    return refusal(
      'Not possible here: jobs come from accepted events and cannot be added, edited or dropped by queue. A dead letter gets another payload with "synap dead edit".',
    );
  if (queueName === deadLetterQueue && /\/(pause|resume|promote)$/.test(route)) {
    return refusal('Dead letters can be retried or removed.');
  }
  if (route.includes('/clean/') && queueStatus !== undefined && !cleanable.has(queueStatus)) {
    return refusal('Jobs that are running cannot be cleaned.');
  }
  return { allow: true };
}

const refusal = (message: string): BeforeHookResult => ({
  allow: false,
  status: 403,
  errorKey: 'ERRORS.FORBIDDEN',
  message,
});

type Answer = ReturnType<Parameters<ExpressAdapter['setErrorHandler']>[0]>;

function toAnswer(error: Error, logger: Logger): Answer {
  if (error instanceof SynapError && error.status < 500) {
    const status = error.status === 404 ? 404 : error.status === 409 ? 409 : 403;
    return { status, body: { error: error.title, message: error.publicMessage ?? error.title } };
  }
  const isAway = (error instanceof SynapError && error.code === 'unavailable') || isConnectionLoss(error);
  logger[isAway ? 'warn' : 'error']({ err: error }, 'a request of the board failed');
  const message = isAway ? 'Postgres or the queue store is out of reach.' : 'See the log.';
  return { status: 500, body: { error: { key: 'ERRORS.INTERNAL_SERVER_ERROR' }, message } };
}

const storeTimeoutMs = 3_000;

/** A frozen Redis would keep the page waiting for ever; asked first, it costs one round trip. */
function requireStore(backend: QueueBackend, clock: Clock): RequestHandler {
  return async (req, _res, next) => {
    if (!req.path.startsWith('/api/')) return next();
    const late = Promise.withResolvers<never>();
    const cancel = clock.after(storeTimeoutMs, () => late.reject(new Error('no answer')));
    try {
      await Promise.race([backend.ping(), late.promise]);
    } catch (thrown) {
      return next(
        new SynapError('unavailable', 'the queue store is out of reach', {
          cause: thrown,
          retryAfterMs: 2_000,
          publicMessage: `The queue store (${backend.mode}) is out of reach.`,
        }),
      );
    } finally {
      cancel();
    }
    next();
  };
}
