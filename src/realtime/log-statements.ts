import type { Statement } from '../platform/database.js';
import type { Json } from '../platform/text.js';
import type { NotificationStatus } from './contract.js';
import { notificationColumns, notificationCtes } from './notification-log.js';

/** A row of `replay` and `unpublished`: one per entry, or one with nulls for a room that has none to give. */
export type PageRow = {
  /** Which of the wants this answers, from 1. */
  readonly ord: number;
  readonly epoch: string;
  readonly lastSeq: number;
} & (
  | { readonly seq: null }
  | {
      readonly seq: number;
      readonly id: string;
      readonly type: string;
      readonly data: Json;
      readonly status: NotificationStatus;
      readonly timestamp: Date;
      readonly requestId: string | null;
      readonly eventId: string | null;
      readonly error: { readonly code: string; readonly message: string } | null;
    }
);

/**
 * Pages of many rooms in one statement: for each room the entries after `start`, in order. OFFSET 0 keeps the planner from
 * turning the look-up of a few notifications by primary key into a scan of them all.
 */
const pages = (start: string) => `
  WITH want AS (
    SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[]) WITH ORDINALITY AS w(room, epoch, after, ord)
  )
  SELECT w.ord, r.epoch, r."lastSeq", e.seq, e.id, e.type, e.data, e.status, e.timestamp, e."requestId", e."eventId", e.error
  FROM want w
  JOIN rooms r ON r.key = w.room
  LEFT JOIN LATERAL (
    SELECT x.seq, n.*
    FROM room_entries x
    CROSS JOIN LATERAL (SELECT * FROM notifications n WHERE n.id = x."notificationId" OFFSET 0) n
    WHERE x.room = w.room AND x.seq > ${start}
    ORDER BY x.seq
    LIMIT $4
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
  advance: statement(
    'advance',
    `WITH mark AS (
       SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[]) AS m(room, epoch, seq)
     ), free AS (
       SELECT r.key FROM rooms r JOIN mark m ON m.room = r.key AND m.epoch = r.epoch
       WHERE r."publishedSeq" < m.seq ORDER BY r.key FOR NO KEY UPDATE OF r SKIP LOCKED
     )
     UPDATE rooms r SET "publishedSeq" = m.seq
     FROM mark m JOIN free f ON f.key = m.room WHERE r.key = m.room AND r.epoch = m.epoch`,
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
