import { withoutFlush, type Statement } from '../../platform/database.js';
import { fewRows } from '../../platform/few-rows.js';
import type { NotificationStatus } from '../contract.js';
import { notificationColumns, notificationCtes } from './notification-log.js';

/** Which of the wants a row answers, from 1, and the head of its room. */
interface RowHead {
  readonly ord: number;
  readonly epoch: string;
  readonly lastSeq: number;
}

interface EntryRow extends RowHead {
  readonly seq: number;
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly status: NotificationStatus;
  readonly timestamp: Date;
  readonly requestId: string | null;
  readonly eventId: string | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** A row that has no entry to give: the rest of it is nulls. */
interface EmptyRow extends RowHead {
  readonly seq: null;
}

/** One per entry, with its data as JSON text, or one with nulls for a room that has none to give. */
export type PageRow = EntryRow | EmptyRow;

/** What an entry takes beside its data, roughly. */
const overheadBytes = 300;

/**
 * Pages of many rooms in one statement: for each room the entries after `start`, in order, no more of it than so many bytes, but at least one
 * entry. A recursion, because only that stops where it has enough: a sum over a window would first fetch and decompress all that it
 * then leaves out. What is stored compressed tells nothing of what it will take here, so the text itself is measured, and sent as it is.
 * OFFSET 0 keeps the planner from turning the look-up of a notification by primary key into a scan of them all.
 */
const pages = (start: string) => `
  WITH want AS (
    SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[]) WITH ORDINALITY AS w(room, epoch, after, ord) WHERE ${fewRows('w.ord')}
  )
  SELECT w.ord, r.epoch, r."lastSeq", e.seq, e.id, e.type, e.data, e.status, e.timestamp, e."requestId", e."eventId", e.error
  FROM want w
  JOIN rooms r ON r.key = w.room
  LEFT JOIN LATERAL (
    WITH RECURSIVE page AS (
      SELECT 0 AS nth, 0 AS bytes, ${start} AS seq, NULL::uuid AS id, NULL AS type, NULL AS data, NULL::notification_status AS status,
        NULL::timestamptz AS timestamp, NULL AS "requestId", NULL::uuid AS "eventId", NULL::jsonb AS error
      UNION ALL
      SELECT p.nth + 1, p.bytes + octet_length(e.data) + ${overheadBytes}, e.seq, e.id, e.type, e.data, e.status, e.timestamp, e."requestId",
        e."eventId", e.error
      FROM page p
      CROSS JOIN LATERAL (
        SELECT x.seq, n.*
        FROM room_entries x
        CROSS JOIN LATERAL (
          SELECT n.id, n.type, n.data::text AS data, n.status, n.timestamp::timestamptz AS timestamp, n."requestId", n."eventId", n.error
          FROM notifications n WHERE n.id = x."notificationId" OFFSET 0
        ) n
        WHERE x.room = w.room AND x.seq > p.seq
        ORDER BY x.seq
        LIMIT 1
      ) e
      WHERE p.nth < $4 AND (p.nth = 0 OR p.bytes + octet_length(e.data) + ${overheadBytes} <= $5)
    )
    SELECT * FROM page WHERE nth > 0
  ) e ON true
  ORDER BY w.ord, e.seq`;

const statement = (name: string, text: string): Statement => ({ name: `realtime-${name}`, text });

export const statements = {
  append: statement(
    'append',
    `WITH source AS (
       SELECT * FROM ROWS FROM (json_to_recordset($1::json) AS (${notificationColumns})) WITH ORDINALITY
         AS s(id, type, "userId", "requestId", "eventId", status, data, error, rooms, ord)
     ), ${notificationCtes('source')}
     SELECT room, seq, epoch, "notificationId", timestamp FROM entered ORDER BY room, seq`,
  ),

  // No seq is beyond null: a reader of another epoch gets the head and nothing else.
  replay: statement('replay', pages('CASE WHEN w.epoch IS NULL OR w.epoch = r.epoch THEN w.after END')),

  unpublished: statement(
    'unpublished',
    pages('GREATEST(r."publishedSeq", CASE WHEN w.epoch = r.epoch THEN w.after END)'),
  ),

  heads: statement('heads', `SELECT key, epoch, "lastSeq" FROM rooms WHERE key = ANY($1::text[])`),

  // Rows are locked in the order in which numbering locks them, and those that it holds are skipped: a mark can wait, it cannot.
  // A mark that a crash takes back costs another look.
  advance: statement(
    'advance',
    `WITH mark AS (
       SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[]) AS m(room, epoch, seq) WHERE ${fewRows('m.seq')}
     ), free AS (
       SELECT r.key, m.seq FROM rooms r JOIN mark m ON m.room = r.key AND m.epoch = r.epoch
       WHERE r."publishedSeq" < m.seq ORDER BY r.key FOR NO KEY UPDATE OF r SKIP LOCKED
     )
     UPDATE rooms r SET "publishedSeq" = f.seq FROM free f, ${withoutFlush} WHERE r.key = f.key`,
  ),

  recentTargets: statement(
    'recent-targets',
    `SELECT DISTINCT "userId", "requestId" FROM notifications WHERE id >= $1::uuid AND id < $2::uuid`,
  ),

  lagging: statement(
    'lagging',
    `SELECT key FROM rooms WHERE key = ANY($1::text[]) AND "lastSeq" > "publishedSeq" ORDER BY key`,
  ),
} as const;
