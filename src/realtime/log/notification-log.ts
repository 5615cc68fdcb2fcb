import { newId } from '../../platform/ids.js';
import type { Json } from '../../platform/text.js';
import type { NotificationStatus } from '../contract.js';
import type { CommittedEntry, StoredNotification } from '../publishing/publisher.js';
import { roomKey, roomsOf } from '../rooms.js';

/** A notification before it is stored. It goes to the user's room and, with a request id, to the request's. */
export interface NotificationDraft {
  readonly type: string;
  readonly status: NotificationStatus;
  readonly data: Json;
  readonly userId: string;
  readonly requestId?: string;
  /** The event whose job says it; a broadcast has none. */
  readonly eventId?: string;
  readonly error?: { readonly code: string; readonly message: string };
}

/** The shape of one element of the JSON array that `notificationCtes` reads. `rooms` are inside keys. */
export interface NotificationRow extends NotificationDraft {
  readonly id: string;
  readonly rooms: readonly string[];
}

/** `rooms` defaults to the user's and the request's; a broadcast names just one. */
export function toNotificationRow(draft: NotificationDraft, rooms = roomsOf(draft)): NotificationRow {
  return { ...draft, id: newId(), rooms: rooms.map(roomKey) };
}

/**
 * The part of a statement that stores notifications and numbers them, to be put behind a CTE `source` with the columns
 * `ord bigint, id uuid, type text, "userId" text, "requestId" text, "eventId" uuid, status notification_status, data jsonb, error jsonb,
 * rooms text[]`. The room heads are raised in room order, which prevents deadlocks between statements, and their rows stay
 * locked until COMMIT, so that the order of seq is the order of commits and nobody ever sees a gap. (The coalesce is there
 * because json_to_recordset makes SQL's null of JSON's.)
 * Ends in the CTE `entered` with a row per (room, seq): the columns of `EnteredRow`.
 */
export function notificationCtes(source: string): string {
  return `
  stored AS (
    INSERT INTO notifications (id, type, "userId", "requestId", "eventId", status, data, error)
    SELECT id, type, "userId", "requestId", "eventId", status, coalesce(data, 'null'), error FROM ${source}
    RETURNING id, timestamp
  ),
  addressed AS (
    SELECT s.id AS "notificationId", r.room, row_number() OVER (PARTITION BY r.room ORDER BY s.ord) AS nth
    FROM ${source} s, unnest(s.rooms) AS r(room)
  ),
  heads AS (
    INSERT INTO rooms (key, epoch, "lastSeq")
    SELECT room, gen_random_uuid(), count(*) FROM addressed GROUP BY room ORDER BY room
    ON CONFLICT (key) DO UPDATE SET "lastSeq" = rooms."lastSeq" + excluded."lastSeq"
    RETURNING key, epoch, "lastSeq"
  ),
  numbered AS (
    SELECT a.room, a."notificationId", h.epoch,
           h."lastSeq" - count(*) OVER (PARTITION BY a.room) + a.nth AS seq
    FROM addressed a JOIN heads h ON h.key = a.room
  ),
  entries AS (
    INSERT INTO room_entries (room, seq, "notificationId") SELECT room, seq, "notificationId" FROM numbered
  ),
  entered AS (
    SELECT n.room, n.seq, n.epoch, n."notificationId", s.timestamp FROM numbered n JOIN stored s ON s.id = n."notificationId"
  )`;
}

/** The columns that `notificationCtes`' JSON array has, for json_to_recordset. */
export const notificationColumns = `id uuid, type text, "userId" text, "requestId" text, "eventId" uuid, status notification_status, data jsonb, error jsonb, rooms text[]`;

/** A row of the CTE `entered`. */
export interface EnteredRow {
  readonly room: string;
  readonly seq: number;
  readonly epoch: string;
  readonly notificationId: string;
  readonly timestamp: Date | string;
}

/**
 * What the publisher needs, from what the statement answered and the rows that went in. The entries of one notification
 * share one object, so that it is serialized once however many rooms it goes to.
 */
export function toCommittedEntries(rows: readonly NotificationRow[], entered: readonly EnteredRow[]): CommittedEntry[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  const stored = new Map<string, StoredNotification>();
  return entered.flatMap((entry) => {
    const row = byId.get(entry.notificationId);
    if (row === undefined) return [];
    const notification = stored.get(row.id) ?? toStored(row, entry.timestamp);
    stored.set(row.id, notification);
    return [{ room: entry.room, seq: entry.seq, epoch: entry.epoch, notification }];
  });
}

function toStored(row: NotificationRow, at: Date | string): StoredNotification {
  const { id, type, data, status, requestId, eventId, error } = row;
  return {
    ...{ id, type, data, status, timestamp: new Date(at).toISOString() },
    ...(requestId !== undefined && { requestId }),
    ...(eventId !== undefined && { eventId }),
    ...(error && { error }),
  };
}
