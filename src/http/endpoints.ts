import type { AppDeps } from './deps.js';
import type { Endpoint } from './endpoint.js';
import type { Counters } from './limits/counters.js';
import { LimitedAcceptor } from './limits/limited-acceptor.js';
import { adminEndpoints } from './routes/admin/endpoints.js';
import { deleteRequest } from './routes/delete-request.js';
import { getSchedules } from './routes/admin/get-schedules.js';
import { featureRead } from './routes/feature-read.js';
import { getAsyncApi } from './routes/get-asyncapi.js';
import { getCorrelatedEvents } from './routes/get-correlated-events.js';
import { getDescendants } from './routes/get-descendants.js';
import { getEvent } from './routes/get-event.js';
import { getFile } from './routes/get-file.js';
import { getNotifications } from './routes/get-notifications.js';
import { getPresence, getUserPresence } from './routes/get-presence.js';
import { getRequest } from './routes/get-request.js';
import { postBroadcast } from './routes/post-broadcast.js';
import { postDevToken } from './routes/post-dev-token.js';
import { postEvents } from './routes/post-events.js';
import { postEventsBatch } from './routes/post-events-batch.js';
import { postFiles } from './routes/post-files.js';
import { postNotificationsSeen } from './routes/post-notifications-seen.js';

/** Every route of the API; the most used come first, because they are tried in order. */
export function endpointsOf(deps: AppDeps, counters: Counters): Endpoint[] {
  const acceptor = new LimitedAcceptor(deps.acceptor, { catalogue: deps.catalogue, counters, clock: deps.clock });
  return [
    postEvents(acceptor),
    postEventsBatch(acceptor),
    getCorrelatedEvents(deps.events, deps.notifications),
    getEvent(deps.events, deps.notifications),
    getDescendants(deps.events, deps.notifications),
    getRequest(deps.requests),
    deleteRequest(deps.cancellation),
    getNotifications(deps.notifications),
    postNotificationsSeen(deps.notifications),
    postFiles(deps.uploads, deps.config.http),
    getFile(deps.uploads),
    postBroadcast(deps.broadcasts),
    getPresence(deps.presence),
    getUserPresence(deps.presence),
    ...deps.reads.map((read) => featureRead(read, deps.database)),
    ...adminEndpoints(deps.admin),
    getSchedules(deps),
    getAsyncApi(deps.version),
    ...(deps.config.isProduction ? [] : [postDevToken(deps.tokens)]),
  ];
}
