import { runStatement, type Database } from '../../platform/database.js';
import type { Json } from '../../platform/text.js';
import type { NotificationStatus, RoomHead, WireNotification } from '../contract.js';
import { notificationStatements as statements } from './notification-statements.js';
import { requestRoom, roomKey, userRoom, wireName, type Room } from '../rooms.js';

/** What became of a notification: times as ISO 8601, or null. */
interface Facts {
  readonly deliveredAt: string | null;
  readonly seenAt: string | null;
}

export type ListedNotification = WireNotification & Facts;

/** @see NotificationPage in src/client/types.ts, the public face of it. */
export interface NotificationPage {
  readonly items: readonly ListedNotification[];
  readonly head: RoomHead & { readonly room: string };
  readonly unread: number;
  readonly next: number | null;
}

/** Oldest first with `after`; else newest first, from `before` on where it is given. */
export interface PageWant {
  readonly after?: number | undefined;
  readonly before?: number | undefined;
  readonly limit: number;
  readonly unread: boolean;
}

export interface Seen {
  /** How many had not been seen before. */
  readonly seen: number;
  readonly unread: number;
}

/** A notification as its event's causation view shows it. */
export interface EventNotification extends Facts {
  readonly id: string;
  readonly type: string;
  readonly status: NotificationStatus;
  readonly timestamp: string;
}

interface OwnedEvent {
  readonly id: string;
  readonly userId: string;
  readonly requestId: string;
}

/** Entries that one statement of `markSeenUpTo` looks at. */
const stretch = 1_000;
/** Entries of a room, and of all rooms of a page together, that are searched for what events said. */
const perRoom = { least: 100, all: 1_000 };

/** Reads of what is stored, and the marks that users set on it. Whoever calls has checked whose room it is. */
export class NotificationQueries {
  readonly #pool: Database['pool'];

  constructor({ pool }: Pick<Database, 'pool'>) {
    this.#pool = pool;
  }

  async list(room: Room, want: PageWant): Promise<NotificationPage> {
    const rows = await runStatement<ListRow>(this.#pool, statementFor(want), [
      roomKey(room),
      want.after ?? want.before ?? Number.MAX_SAFE_INTEGER,
      want.limit + 1,
    ]);
    const name = wireName(room);
    const [first] = rows;
    if (first === undefined) {
      return { items: [], head: { room: name, epoch: null, seq: 0 }, unread: 0, next: null };
    }
    const items = rows.flatMap((row) => toListed(name, row));
    const page = items.slice(0, want.limit);
    return {
      items: page,
      head: { room: name, epoch: first.epoch, seq: first.lastSeq },
      unread: first.unread,
      next: items.length > want.limit ? (page.at(-1)?.seq ?? null) : null,
    };
  }

  /** Of these, those of this user. The first time stays; `unread` is of their own room. */
  async markSeen(userId: string, ids: readonly string[]): Promise<Seen> {
    const rows = await runStatement<{ seen: number }>(this.#pool, statements.seenByIds, [userId, ids]);
    return { seen: rows[0]?.seen ?? 0, unread: await this.#unread(userRoom(userId)) };
  }

  /** All of a room up to a number, newest first: what a call that is cut off leaves is done by its repetition. */
  async markSeenUpTo(room: Room, upTo: number): Promise<Seen> {
    let seen = 0;
    for (let from: number | null = upTo; from !== null;) {
      const rows: SeenRow[] = await runStatement(this.#pool, statements.seenUpTo, [roomKey(room), from, stretch]);
      seen += rows[0]?.seen ?? 0;
      const lowest: number | null = rows[0]?.lowest ?? null;
      from = lowest === null ? null : lowest - 1;
    }
    return { seen, unread: await this.#unread(room) };
  }

  /**
   * What each of these events' jobs said, oldest first: found in the room of its request, among the newest there. There is no index
   * by event, which every notification would have to write.
   */
  async ofEvents(events: readonly OwnedEvent[]): Promise<ReadonlyMap<string, EventNotification[]>> {
    const rooms = [...new Set(events.map(({ userId, requestId }) => roomKey(requestRoom(userId, requestId))))];
    if (rooms.length === 0) return new Map();
    const rows = await runStatement<EventRow>(this.#pool, statements.ofEvents, [
      rooms,
      events.map(({ id }) => id),
      Math.max(perRoom.least, Math.floor(perRoom.all / rooms.length)),
    ]);
    const byEvent = Map.groupBy(rows, (row) => row.eventId);
    return new Map(Array.from(byEvent, ([eventId, said]) => [eventId, said.map(toEventNotification)]));
  }

  async #unread(room: Room): Promise<number> {
    const rows = await runStatement<{ unread: number }>(this.#pool, statements.unread, [roomKey(room)]);
    return rows[0]?.unread ?? 0;
  }
}

interface SeenRow {
  readonly seen: number;
  readonly lowest: number | null;
}

interface FactRow {
  readonly id: string;
  readonly type: string;
  readonly status: NotificationStatus;
  readonly timestamp: Date;
  readonly deliveredAt: Date | null;
  readonly seenAt: Date | null;
}

interface EventRow extends FactRow {
  readonly eventId: string;
}

interface FoundRow extends FactRow {
  readonly seq: number;
  readonly data: Json;
  readonly requestId: string | null;
  readonly eventId: string | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

type ListRow = {
  readonly epoch: string;
  readonly lastSeq: number;
  readonly unread: number;
} & ({ readonly seq: null } | FoundRow);

function statementFor({ after, unread }: PageWant) {
  if (after === undefined) return unread ? statements.unseenBefore : statements.before;
  return unread ? statements.unseenAfter : statements.after;
}

function toListed(room: string, row: ListRow): ListedNotification[] {
  if (row.seq === null) return [];
  const { id, type, data, status, requestId, eventId, error, seq, epoch } = row;
  return [
    {
      ...{ id, type, data, status, timestamp: row.timestamp.toISOString() },
      ...(requestId !== null && { requestId }),
      ...(eventId !== null && { eventId }),
      ...(error !== null && { error }),
      ...{ room, seq, epoch },
      ...factsOf(row),
    },
  ];
}

function toEventNotification(row: EventRow): EventNotification {
  const { id, type, status, timestamp } = row;
  return { id, type, status, timestamp: timestamp.toISOString(), ...factsOf(row) };
}

const factsOf = ({ deliveredAt, seenAt }: FactRow): Facts => ({
  deliveredAt: deliveredAt?.toISOString() ?? null,
  seenAt: seenAt?.toISOString() ?? null,
});
