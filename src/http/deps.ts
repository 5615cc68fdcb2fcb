import type { Router } from 'express';
import type { Acceptor } from '../events/acceptance.js';
import type { EventCatalogue } from '../events/catalogue.js';
import type { EventQueries } from '../events/queries.js';
import type { Schedule } from '../events/schedule.js';
import type { JobAdministration } from '../execution/administration.js';
import type { BulkOperations } from '../execution/bulk-operations.js';
import type { Corrections } from '../execution/corrections.js';
import type { DeadLetterQueries } from '../execution/dead-letters.js';
import type { QueueAdministration } from '../execution/queue-administration.js';
import type { RequestCancellation } from '../execution/cancellation.js';
import type { RequestQueries } from '../execution/requests.js';
import type { Read } from '../features/feature.js';
import type { Uploads } from '../features/files/uploads.js';
import type { Clock } from '../platform/clock.js';
import type { Config } from '../platform/config.js';
import type { Database } from '../platform/database.js';
import type { Health } from '../platform/health.js';
import type { Lifecycle } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';
import type { Metrics } from '../platform/metrics.js';
import type { Redis } from '../platform/redis.js';
import type { Tokens } from '../platform/tokens.js';
import type { Broadcasts } from '../realtime/publishing/broadcasts.js';
import type { NotificationQueries } from '../realtime/log/notification-queries.js';
import type { Presence } from '../realtime/presence.js';
import type { Admission } from './middleware/admission.js';

/** What every HTTP server of a process needs, whatever its roles. */
export interface ProbeDeps {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly health: Health;
  readonly lifecycle: Lifecycle;
  readonly clock: Clock;
  /** Of Synap, as `/health` tells it. */
  readonly version: string;
}

/** A router of somebody else (administration) under a path of its own, which limits and guards itself. */
export interface Mount {
  readonly path: string;
  readonly router: Router;
}

/** What operators do over HTTP, with a key of the scope `admin`. */
export interface AdminDeps {
  readonly administration: JobAdministration;
  readonly deadLetters: DeadLetterQueries;
  readonly corrections: Corrections;
  readonly bulk: BulkOperations;
  readonly queues: QueueAdministration;
}

/** What the API needs. */
export interface AppDeps extends ProbeDeps {
  readonly database: Database;
  /** Shares rate limits between processes; without it each process counts for itself. */
  readonly redis?: Redis | undefined;
  readonly tokens: Tokens;
  readonly catalogue: EventCatalogue;
  readonly acceptor: Acceptor;
  readonly events: EventQueries;
  readonly requests: RequestQueries;
  readonly cancellation: Pick<RequestCancellation, 'cancel'>;
  readonly uploads: Uploads;
  readonly broadcasts: Pick<Broadcasts, 'broadcast'>;
  readonly notifications: NotificationQueries;
  readonly presence: Pick<Presence, 'devices'>;
  readonly reads: readonly Read[];
  readonly admin: AdminDeps;
  readonly schedules: readonly Schedule[];
  /** Sheds load before what writes; without it everything is let in. */
  readonly admission?: Pick<Admission, 'guard'>;
  /** Where the built page lies; without it `/` is not found. */
  readonly pageDirectory?: string;
  /** The client's modules, which the page imports from /client. */
  readonly clientDirectory?: string;
  /** Where the built examples lie; given outside production only. */
  readonly examplesDirectory?: string;
  readonly mounts?: readonly Mount[];
}
