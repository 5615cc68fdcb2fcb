import type { Sql } from '../platform/database.js';
import type { Json } from '../platform/text.js';
import { roomKey, userRoom } from '../realtime/rooms.js';
import type { Probe } from './crash-points.js';

export interface EmittedRecord {
  readonly eventId: string;
  readonly type: string;
  readonly data: Json;
  readonly aggregateId: string;
  readonly causationId: string | null;
  readonly correlationId: string;
}

export interface NotificationRecord {
  readonly type: string;
  readonly status: 'success' | 'error' | 'pending';
  readonly data: Json;
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface FailureRecord {
  readonly code: string;
  /** For operators. */
  readonly message: string;
  /** For the user. */
  readonly reason: string;
}

/** What became of one event's job, as Postgres has it, and what its attempts showed on the way. */
export interface Run {
  readonly eventId: string;
  readonly userId: string;
  readonly aggregateId: string;
  readonly requestId: string;
  readonly correlationId: string;
  /** `unfinished` only where single attempts were made. */
  readonly outcome: 'completed' | 'dead' | 'cancelled' | 'unfinished';
  /** Attempts that began, those that crashed included. */
  readonly attempts: number;
  readonly result: Json;
  /** Why it is dead. */
  readonly error: FailureRecord | undefined;
  /** The attempts that failed or crashed, by their numbers. */
  readonly failures: readonly (FailureRecord & { readonly attempt: number })[];
  readonly emitted: readonly EmittedRecord[];
  /** All of its request's, in the order in which the user's room has them. */
  readonly notifications: readonly NotificationRecord[];
  /** The last of them: what the page shows of the end. */
  readonly last: NotificationRecord | undefined;
  /** What each recorded step returned. */
  readonly steps: Readonly<Record<string, Json>>;
  /** What each step's function was given, once for each time it ran. */
  readonly idempotencyKeys: Readonly<Record<string, readonly string[]>>;
  readonly progress: readonly { readonly percent: number; readonly message?: string }[];
  /** The pieces of text that were streamed, by all attempts. */
  readonly streamed: readonly string[];
}

/** @throws Error where the event has no job. */
export async function readRun(sql: Sql, eventId: string, probe: Probe): Promise<Run> {
  const job = await sql
    .selectFrom('jobs')
    .innerJoin('events', 'events.id', 'jobs.id')
    .select(['jobs.state', 'jobs.fence', 'jobs.result', 'jobs.lastError', 'jobs.userId', 'jobs.requestId'])
    .select(['events.aggregateId', 'events.correlationId'])
    .where('jobs.id', '=', eventId)
    .executeTakeFirst();
  if (job === undefined) throw new Error(`event ${eventId} has no job: its type has no handler among the features`);
  const notifications = await readNotifications(sql, job.userId, job.requestId);
  const { state, fence, result, lastError, ...ids } = job;
  return {
    eventId,
    ...ids,
    outcome: state === 'completed' || state === 'dead' || state === 'cancelled' ? state : 'unfinished',
    attempts: fence,
    result: result as Json,
    error: state === 'dead' ? toFailure(lastError) : undefined,
    failures: await readFailures(sql, eventId),
    emitted: await readEmitted(sql, eventId),
    notifications,
    last: notifications.at(-1),
    steps: await readSteps(sql, eventId),
    idempotencyKeys: structuredClone(probe.idempotencyKeys),
    progress: [...probe.progress],
    streamed: [...probe.streamed],
  };
}

function toFailure(error: unknown): FailureRecord {
  const { code, message, reason } = error as FailureRecord;
  return { code, message, reason };
}

async function readFailures(sql: Sql, eventId: string): Promise<Run['failures']> {
  const rows = await sql
    .selectFrom('failed_attempts')
    .select(['attempt', 'error'])
    .where('jobId', '=', eventId)
    .orderBy('attempt')
    .execute();
  return rows.map(({ attempt, error }) => ({ attempt, ...toFailure(error) }));
}

async function readEmitted(sql: Sql, eventId: string): Promise<EmittedRecord[]> {
  const rows = await sql
    .selectFrom('events')
    .select(['id as eventId', 'type', 'data', 'aggregateId', 'causationId', 'correlationId'])
    .where('causationId', '=', eventId)
    .orderBy('id')
    .execute();
  return rows as EmittedRecord[];
}

async function readNotifications(sql: Sql, userId: string, requestId: string): Promise<NotificationRecord[]> {
  const rows = await sql
    .selectFrom('room_entries')
    .innerJoin('notifications', 'notifications.id', 'room_entries.notificationId')
    .select(['notifications.type', 'notifications.status', 'notifications.data', 'notifications.error'])
    .where('room_entries.room', '=', roomKey(userRoom(userId)))
    .where('notifications.requestId', '=', requestId)
    .orderBy('room_entries.seq')
    .execute();
  return rows as NotificationRecord[];
}

async function readSteps(sql: Sql, eventId: string): Promise<Record<string, Json>> {
  const rows = await sql.selectFrom('steps').select(['name', 'output']).where('jobId', '=', eventId).execute();
  return Object.fromEntries(rows.map(({ name, output }) => [name, output as Json]));
}
