import type { Express } from 'express';
import { countersOf, guardsOf, type GuardDeps } from './app.js';
import { createBase } from './base.js';
import type { ProbeDeps } from './deps.js';
import { mountEndpoints, type Endpoint } from './endpoint.js';
import { cors } from './middleware/cors.js';
import { errorHandler, notFound } from './middleware/error-handler.js';
import { getNotificationStream } from './routes/get-notification-stream.js';
import type { OpenStreams } from './streams/open-streams.js';

export interface StreamAppDeps extends ProbeDeps, GuardDeps {
  readonly streams: Pick<OpenStreams, 'open'>;
}

/** The path that `createStreamApp` answers. */
export const streamPath = '/v1/notifications/stream';

/** Every route of the realtime role. */
export const streamEndpoints = ({ streams }: Pick<StreamAppDeps, 'streams'>): Endpoint[] => [
  getNotificationStream(streams),
];

/** The streams of the realtime role: the rules of the API on a path of their own. */
export function createStreamApp(deps: StreamAppDeps): Express {
  const app = createBase(deps);
  app.use(cors(deps.config.http.allowedOrigins));
  app.use(mountEndpoints(streamEndpoints(deps), guardsOf(deps, countersOf(deps))));
  app.use(notFound);
  app.use(errorHandler(deps));
  return app;
}
