/** What a filled database has. */
export interface Amounts {
  readonly events: number;
  /** Of the events: accepted, and their jobs not yet run. */
  readonly waiting: number;
  readonly notifications: number;
}

const dayMs = 86_400_000;
const historyMs = 29 * dayMs;
/** How long the one that the waiting jobs need was away. */
const outageMs = 6 * 3_600_000;

const users = 20_000;
export const backlogQueue = 'bench.backlog.requested';
const workQueue = 'bench.work.requested';

/**
 * Functions of the filling session alone. An id is a UUIDv7 of its time and else of its number, so that every table can be
 * filled by itself. Few users do much: the number of the user goes with the square of an even chance.
 */
const functions = `
  CREATE FUNCTION pg_temp.id_of(kind text, n bigint, at bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT overlay(overlay(md5(kind || n) PLACING lpad(to_hex(at), 12, '0') || '7' FROM 1 FOR 13) PLACING '8' FROM 17 FOR 1)::uuid $$;
  CREATE FUNCTION pg_temp.time_of(at bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$ SELECT to_timestamp(at / 1000.0) $$;
  CREATE FUNCTION pg_temp.user_of(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT 'user-' || floor(${users} * power((hashint8(n) & 2147483647) / 2147483648.0, 2))::int $$;
  CREATE FUNCTION pg_temp.request_of(kind text, n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT md5('request' || kind || n)::uuid::text $$;`;

interface Plan extends Amounts {
  /** A story: an event, its job, the event that this emitted, and a notification of the younger ones. */
  readonly stories: number;
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly outageFrom: number;
}

/** SQL: the stories `j` from the given one on, each at its time `at`. */
const stories = ({ stories: count, from, outageFrom }: Plan, first = 0): string => `
  (SELECT j, ${from} + floor(j * ${(outageFrom - from) / count}::float8)::bigint AS at FROM generate_series(${first}, ${count - 1}) AS j) s`;

/** SQL: the jobs `j` that wait. */
const backlog = ({ waiting, outageFrom }: Plan): string => `
  (SELECT j, ${outageFrom} + floor(j * ${(outageMs - 60_000) / waiting}::float8)::bigint AS at FROM generate_series(0, ${waiting - 1}) AS j) s`;

function planOf(amounts: Amounts, now: number): Plan {
  const { events, waiting } = amounts;
  return { ...amounts, stories: Math.floor((events - waiting) / 2), from: now - historyMs, outageFrom: now - outageMs };
}

const eventColumns = `id, type, "aggregateId", "aggregateType", "userId", data, timestamp, source, "causationId", "correlationId", "requestId"`;

const historicEvents = (plan: Plan): string => `
  INSERT INTO events (${eventColumns})
  SELECT CASE k WHEN 0 THEN pg_temp.id_of('root', j, at) ELSE pg_temp.id_of('emitted', j, at + 40) END,
         CASE k WHEN 0 THEN '${workQueue}' ELSE 'bench.work.completed' END,
         md5('aggregate' || j)::uuid::text, 'bench', pg_temp.user_of(j), jsonb_build_object('n', j), pg_temp.time_of(at + k * 40),
         (CASE k WHEN 0 THEN 'api' ELSE 'automation' END)::event_source,
         CASE k WHEN 1 THEN pg_temp.id_of('root', j, at) END, pg_temp.request_of('root', j), pg_temp.request_of('root', j)
  FROM ${stories(plan)}, generate_series(0, 1) AS k`;

const waitingEvents = (plan: Plan): string => `
  INSERT INTO events (${eventColumns})
  SELECT pg_temp.id_of('waiting', j, at), '${backlogQueue}', md5('waiting aggregate' || j)::uuid::text, 'bench', pg_temp.user_of(j),
         jsonb_build_object('n', j, 'at', at), pg_temp.time_of(at), 'api', NULL, pg_temp.request_of('waiting', j), pg_temp.request_of('waiting', j)
  FROM ${backlog(plan)}`;

const jobColumns = `id, queue, "userId", "requestId", "isRoot", state, priority, fence, "runAt", "createdAt", "startedAt", "finishedAt"`;

const historicJobs = (plan: Plan): string => `
  INSERT INTO jobs (${jobColumns})
  SELECT pg_temp.id_of('root', j, at), '${workQueue}', pg_temp.user_of(j), pg_temp.request_of('root', j), true, 'completed', 10, 1,
         pg_temp.time_of(at), pg_temp.time_of(at), pg_temp.time_of(at + 8), pg_temp.time_of(at + 40)
  FROM ${stories(plan)}`;

const waitingJobs = (plan: Plan): string => `
  INSERT INTO jobs (${jobColumns})
  SELECT pg_temp.id_of('waiting', j, at), '${backlogQueue}', pg_temp.user_of(j), pg_temp.request_of('waiting', j), true, 'queued', 10, 0,
         pg_temp.time_of(at), pg_temp.time_of(at), NULL, NULL
  FROM ${backlog(plan)}`;

const steps = (plan: Plan): string => `
  INSERT INTO steps ("jobId", name, fence, "createdAt")
  SELECT pg_temp.id_of('root', j, at), 'write', 1, pg_temp.time_of(at + 20) FROM ${stories(plan)}`;

const outbox = (plan: Plan): string => `
  INSERT INTO outbox ("jobId", queue, "userId", priority, generation, "runAt", "claimedUntil")
  SELECT pg_temp.id_of('waiting', j, at), '${backlogQueue}', pg_temp.user_of(j), 10, 1, pg_temp.time_of(at), pg_temp.time_of(at + 500)
  FROM ${backlog(plan)}`;

/** Every event of the last day had one. */
const keys = (kind: string, rows: string, since: number): string => `
  INSERT INTO idempotency_keys ("userId", key, "requestHash", "eventId", "createdAt")
  SELECT pg_temp.user_of(j), md5('key ${kind}' || j)::uuid::text, md5('a' || j) || md5('b' || j), pg_temp.id_of('${kind}', j, at), pg_temp.time_of(at)
  FROM ${rows} WHERE at > ${since}`;

const notifications = (plan: Plan, first: number): string => `
  INSERT INTO notifications (id, type, "userId", "requestId", status, data, timestamp, "eventId", "deliveredAt")
  SELECT pg_temp.id_of('told', j, at + 39), 'bench.work.completed', pg_temp.user_of(j), pg_temp.request_of('root', j), 'success',
         jsonb_build_object('n', j), pg_temp.time_of(at + 40), pg_temp.id_of('root', j, at),
         CASE WHEN j % 10 < 9 THEN pg_temp.time_of(at + 1040) END
  FROM ${stories(plan, first)}`;

const userEntries = (plan: Plan, first: number): string => `
  INSERT INTO room_entries (room, seq, "notificationId")
  SELECT 'u:' || pg_temp.user_of(j), row_number() OVER (PARTITION BY pg_temp.user_of(j) ORDER BY j), pg_temp.id_of('told', j, at + 39)
  FROM ${stories(plan, first)}`;

const requestEntries = (plan: Plan, first: number): string => `
  INSERT INTO room_entries (room, seq, "notificationId")
  SELECT 'r:' || pg_temp.user_of(j) || ':' || pg_temp.request_of('root', j), 1, pg_temp.id_of('told', j, at + 39)
  FROM ${stories(plan, first)}`;

const rooms = `
  INSERT INTO rooms (key, epoch, "lastSeq", "publishedSeq")
  SELECT room, md5('epoch' || room)::uuid, max(seq), max(seq) FROM room_entries GROUP BY room`;

/** What to run, in order, with a word for whoever watches. `now` is the end of it all, in milliseconds. */
export function fillStatements(amounts: Amounts, now: number): { readonly what: string; readonly text: string }[] {
  const plan = planOf(amounts, now);
  const first = Math.max(0, plan.stories - plan.notifications);
  return [
    { what: 'functions', text: functions },
    { what: 'events', text: historicEvents(plan) },
    { what: 'events that wait', text: waitingEvents(plan) },
    { what: 'jobs', text: historicJobs(plan) },
    { what: 'jobs that wait', text: waitingJobs(plan) },
    { what: 'steps', text: steps(plan) },
    { what: 'outbox', text: outbox(plan) },
    { what: 'idempotency keys', text: keys('root', stories(plan), now - dayMs) },
    { what: 'idempotency keys of what waits', text: keys('waiting', backlog(plan), now - dayMs) },
    { what: 'notifications', text: notifications(plan, first) },
    { what: 'entries of users', text: userEntries(plan, first) },
    { what: 'entries of requests', text: requestEntries(plan, first) },
    { what: 'rooms', text: rooms },
  ];
}
