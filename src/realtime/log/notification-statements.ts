import type { Statement } from '../../platform/database.js';

/** What counts as unread, and what `unread` lists: the newest so many of a room. A bound on what one call reads. */
const unreadWindow = 1_000;

const columns = `n.id, n.type, n.data, n.status, n.timestamp, n."requestId", n."eventId", n.error, n."deliveredAt", n."seenAt"`;

/** One look-up by primary key per entry; OFFSET 0 keeps the planner from a scan of all notifications. */
const notificationOf = (entry: string) =>
  `CROSS JOIN LATERAL (SELECT * FROM notifications n WHERE n.id = ${entry}."notificationId" OFFSET 0) n`;

const unread = (room: string) => `
  (SELECT count(*)::int FROM room_entries u ${notificationOf('u')}
   WHERE u.room = ${room}.key AND u.seq > ${room}."lastSeq" - ${unreadWindow} AND n."seenAt" IS NULL)`;

/**
 * Head, count and page are of one snapshot. A room without entries to give is one row of nulls. MATERIALIZED, or the count would be
 * made anew for each row of the page.
 */
const list = (within: string, order: 'ASC' | 'DESC') => `
  WITH head AS MATERIALIZED (
    SELECT r.key, r.epoch, r."lastSeq", ${unread('r')} AS unread FROM rooms r WHERE r.key = $1
  )
  SELECT r.epoch, r."lastSeq", r.unread, e.*
  FROM head r
  LEFT JOIN LATERAL (
    SELECT x.seq, ${columns} FROM room_entries x ${notificationOf('x')}
    WHERE x.room = r.key AND ${within}
    ORDER BY x.seq ${order} LIMIT $3
  ) e ON true
  ORDER BY e.seq ${order}`;

const unseen = `x.seq > r."lastSeq" - ${unreadWindow} AND n."seenAt" IS NULL`;

/**
 * Rows are locked in the order of their ids, as retention and acknowledgements lock them, and looked at again once they are: of two
 * calls at once the second finds the first one's time and leaves it.
 */
const markSeen = `
  marked AS (
    UPDATE notifications n SET "seenAt" = now(), "deliveredAt" = coalesce(n."deliveredAt", now())
    FROM free WHERE n.id = free.id RETURNING n.id
  )`;

const statement = (name: string, text: string): Statement => ({ name: `notifications-${name}`, text });

export const notificationStatements = {
  after: statement('after', list('x.seq > $2', 'ASC')),
  before: statement('before', list('x.seq < $2', 'DESC')),
  unseenAfter: statement('unseen-after', list(`x.seq > $2 AND ${unseen}`, 'ASC')),
  unseenBefore: statement('unseen-before', list(`x.seq < $2 AND ${unseen}`, 'DESC')),

  unread: statement('unread', `SELECT ${unread('r')} AS unread FROM rooms r WHERE r.key = $1`),

  seenByIds: statement(
    'seen-by-ids',
    `WITH free AS MATERIALIZED (
       SELECT n.id FROM notifications n WHERE n.id = ANY($2::uuid[]) AND n."userId" = $1 AND n."seenAt" IS NULL
       ORDER BY n.id FOR NO KEY UPDATE
     ), ${markSeen}
     SELECT count(*)::int AS seen FROM marked`,
  ),

  // A stretch of a room, downwards from $2: `lowest` is where the next one goes on, null where there is none.
  seenUpTo: statement(
    'seen-up-to',
    `WITH entry AS MATERIALIZED (
       SELECT seq, "notificationId" FROM room_entries WHERE room = $1 AND seq <= $2 ORDER BY seq DESC LIMIT $3
     ), free AS MATERIALIZED (
       SELECT n.id FROM notifications n JOIN entry e ON n.id = e."notificationId" WHERE n."seenAt" IS NULL
       ORDER BY n.id FOR NO KEY UPDATE OF n
     ), ${markSeen}
     SELECT (SELECT count(*)::int FROM marked) AS seen, (SELECT min(seq) FROM entry HAVING count(*) = $3) AS lowest`,
  ),

  // The newest of each room, because what an event says is said soon after it.
  ofEvents: statement(
    'of-events',
    `SELECT n."eventId", n.id, n.type, n.status, n.timestamp, n."deliveredAt", n."seenAt"
     FROM unnest($1::text[]) AS w(room)
     CROSS JOIN LATERAL (SELECT "notificationId" FROM room_entries WHERE room = w.room ORDER BY seq DESC LIMIT $3) x
     ${notificationOf('x')}
     WHERE n."eventId" = ANY($2::uuid[])
     ORDER BY n.id`,
  ),
} as const;
