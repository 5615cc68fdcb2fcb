import { built } from '../built.ts';
import { answer, Credit, given } from './answers.ts';
import {
  dataOf,
  epoch,
  eventId,
  noticeId,
  noticeType,
  requestIdOf,
  userOf,
  type PublishRequest,
  type Target,
} from './notices.ts';

/**
 * A process that has committed notifications and publishes them: Synap's own publisher, as a worker has it after its finishing
 * statement. What it publishes stands in Postgres before, unpublished; writing the marks behind is part of what is measured.
 */

const { createDatabase } = await built('platform/database');
const { createLogger } = await built('platform/logger');
const { createMetrics } = await built('platform/metrics');
const { connectRedis } = await built('platform/redis');
const { systemClock: clock } = await built('platform/clock');
const { createRedisBackplane } = await built('realtime/redis/backplane');
const { OrderedPublisher } = await built('realtime/publishing/ordered-publisher');
const { NotificationLog } = await built('realtime/log/postgres-log');
const { roomKey, userRoom } = await built('realtime/rooms');

const logger = createLogger({ level: 'silent', pretty: false, hasColour: false }, {});
const metrics = createMetrics('synap');
const pool = { poolMin: 0, poolMax: 10, idleTimeoutMs: 10_000, queryTimeoutMs: 60_000, url: undefined };
const database = createDatabase(given('DATABASE_URL'), pool, logger);
const redisUrl = given('REDIS_URL');
const backplane = createRedisBackplane({
  connect: (purpose, options) => connectRedis(redisUrl, purpose, logger, options),
  prefix: 'synap',
  metrics,
  logger,
  clock,
});
const publisher = new OrderedPublisher({
  log: new NotificationLog(database),
  fanout: backplane.fanout,
  metrics,
  logger,
  clock,
});
const credit = new Credit();
const unheardAtOnce = 5_000;
let timestamp = '';

/** Commits `count` notifications to the users in turn, and goes on where it was before. */
async function commit({ target: { users }, from, count }: Omit<PublishRequest, 'window'>): Promise<void> {
  timestamp ||= new Date().toISOString();
  const span = [from, from + count - 1];
  await database.pool.query(
    `INSERT INTO notifications (id, type, "userId", "requestId", "eventId", status, data, timestamp)
     SELECT ('0197a001-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, $1, 'user-' || n % $2::int, 'bench-request-' || n,
       ('0197a002-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'success',
       jsonb_build_object('n', n, 'title', 'A note that somebody has written', 'tags', jsonb_build_array('one', 'two', 'three')), $3
     FROM generate_series($4::int, $5::int) n`,
    [noticeType, users, timestamp, ...span],
  );
  await database.pool.query(
    `INSERT INTO room_entries (room, seq, "notificationId")
     SELECT 'u:user-' || n % $1::int, n / $1::int + 1, ('0197a001-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
     FROM generate_series($2::int, $3::int) n`,
    [users, ...span],
  );
  await database.pool.query(
    `INSERT INTO rooms (key, epoch, "lastSeq", "publishedSeq")
     SELECT 'u:user-' || n % $2::int, $1::uuid, max(n / $2::int + 1), 0 FROM generate_series($3::int, $4::int) n GROUP BY 1
     ON CONFLICT (key) DO UPDATE SET "lastSeq" = excluded."lastSeq"`,
    [epoch, users, ...span],
  );
}

/** To rooms in which nobody is. */
async function publishUnheard({ from, count, target }: Omit<PublishRequest, 'window'>): Promise<void> {
  for (let n = from; n < from + count; n += unheardAtOnce) {
    const some = Math.min(unheardAtOnce, from + count - n);
    publisher.publish(Array.from({ length: some }, (_, index) => entry(n + index, target)));
    await publisher.drain();
  }
}

const entry = (n: number, { users }: Target) => ({
  room: roomKey(userRoom(userOf(n % users))),
  seq: Math.floor(n / users) + 1,
  epoch,
  notification: {
    ...{ id: noticeId(n), type: noticeType, data: dataOf(n), status: 'success' as const, timestamp },
    ...{ requestId: requestIdOf(n), eventId: eventId(n) },
  },
});

answer({
  commit,
  publishUnheard,
  publish: (request: PublishRequest) =>
    credit.publish(request, (n, some) =>
      publisher.publish(Array.from({ length: some }, (_, index) => entry(n + index, request.target))),
    ),
  credit: credit.arrived,
  /** @returns rooms of which Postgres does not know that all is published */
  async unpublished(): Promise<number> {
    await publisher.drain();
    const { rows } = await database.pool.query('SELECT 1 FROM rooms WHERE "publishedSeq" < "lastSeq"');
    return rows.length;
  },
});
