import { Batcher } from '../../platform/batcher.js';
import { runStatement, type Database } from '../../platform/database.js';
import { firstIdAt } from '../../platform/ids.js';
import type { Json } from '../../platform/text.js';
import type { RoomHead } from '../contract.js';
import { statements, type PageRow } from './log-statements.js';
import { toCommittedEntries, toNotificationRow, type EnteredRow, type NotificationDraft } from './notification-log.js';
import type { CommittedEntry } from '../publishing/publisher.js';
import { roomKey, roomsOf, type Room } from '../rooms.js';

/** A page of a room: its head, and some of its entries in order. */
export interface RoomPage {
  readonly room: string;
  readonly epoch: string;
  readonly lastSeq: number;
  readonly entries: readonly CommittedEntry[];
}

/** What a reader of `room` has: everything of `epoch` up to `after`. Without an epoch, nothing of any. */
export interface ReplayWant {
  readonly room: string;
  readonly epoch: string | undefined;
  readonly after: number;
}

/** What a publisher knows to be published in `room`, beside what the room's row says. */
export interface UnpublishedWant {
  readonly room: string;
  readonly known?: { readonly epoch: string; readonly seq: number } | undefined;
}

/** The most entries of a room that one page holds. */
const pageSize = 256;
/** And the most bytes of data that one has, unless a single entry has more: a slow line should not have to take documents by the page. */
export const pageBytes = 1_048_576;
/** What one look for what is unpublished may take, all its rooms together. */
const unpublishedBytes = 8_388_608;
/** Pages of readers that one statement may have to give. */
const replaysAtOnce = 24;

interface Append {
  readonly draft: NotificationDraft;
  readonly rooms: readonly Room[];
}

/** Notifications and rooms as Postgres has them. Appends and reads of many callers share statements (group commit). */
export class NotificationLog {
  readonly #pool: Database['pool'];
  readonly #appends: Batcher<Append, CommittedEntry[]>;
  readonly #replays: Batcher<ReplayWant, RoomPage | undefined>;
  readonly #heads: Batcher<readonly string[], ReadonlyMap<string, RoomHead>>;

  constructor({ pool }: Pick<Database, 'pool'>) {
    this.#pool = pool;
    this.#appends = new Batcher({
      run: (items) => this.#append(items),
      weigh: ({ draft }) => JSON.stringify(draft.data).length + 500,
    });
    this.#replays = new Batcher({
      run: (wants) => this.#replay(wants),
      // Whoever asks for the head alone gets no page.
      weigh: ({ after }) => (after < Number.MAX_SAFE_INTEGER ? pageBytes : 0),
      maxWeight: replaysAtOnce * pageBytes,
      // What waits is small.
      maxWaitingWeight: Infinity,
    });
    this.#heads = new Batcher({ run: (asked) => this.#readHeads(asked) });
  }

  /** Stores and numbers one notification, outside of any job. @throws SynapError `unavailable`, `overloaded` */
  append(draft: NotificationDraft, rooms: readonly Room[] = roomsOf(draft)): Promise<CommittedEntry[]> {
    return this.#appends.add({ draft, rooms });
  }

  /** Up to `pageSize` entries, and `pageBytes` of them, after `want`; undefined where the room does not exist. Of another epoch there are none. */
  replay(want: ReplayWant): Promise<RoomPage | undefined> {
    return this.#replays.add(want);
  }

  /** The newest seq of each room that exists. */
  heads(rooms: readonly string[]): Promise<ReadonlyMap<string, RoomHead>> {
    return this.#heads.add(rooms);
  }

  /** For each room up to `pageSize` entries that are not known to be published, in order; fewer where they are large, but one at least. */
  async unpublished(wants: readonly UnpublishedWant[]): Promise<RoomPage[]> {
    const rows = await runStatement<PageRow>(this.#pool, statements.unpublished, [
      wants.map((want) => want.room),
      wants.map((want) => want.known?.epoch ?? null),
      wants.map((want) => want.known?.seq ?? null),
      pageSize,
      Math.min(pageBytes, Math.floor(unpublishedBytes / wants.length)),
    ]);
    return toPages(wants, rows).filter((page) => page !== undefined);
  }

  /** Raises `publishedSeq`, never lowers it. Rooms that a numbering statement holds are left out: their next publish raises it. */
  async advance(
    marks: readonly { readonly room: string; readonly epoch: string; readonly seq: number }[],
  ): Promise<void> {
    await runStatement(this.#pool, statements.advance, [
      marks.map((mark) => mark.room),
      marks.map((mark) => mark.epoch),
      marks.map((mark) => mark.seq),
    ]);
  }

  /** The rooms, of those that got notifications between two times, in which something is not known to be published. */
  async unpublishedRooms(fromMs: number, toMs: number): Promise<string[]> {
    const targets = await runStatement<{ userId: string; requestId: string | null }>(
      this.#pool,
      statements.recentTargets,
      [firstIdAt(fromMs), firstIdAt(toMs)],
    );
    const keys = targets.flatMap(({ userId, requestId }) =>
      roomsOf({ userId, requestId: requestId ?? undefined }).map(roomKey),
    );
    const rooms = await runStatement<{ key: string }>(this.#pool, statements.lagging, [[...new Set(keys)]]);
    return rooms.map(({ key }) => key);
  }

  async #append(items: readonly Append[]): Promise<CommittedEntry[][]> {
    const rows = items.map(({ draft, rooms }) => toNotificationRow(draft, [...rooms]));
    const entered = await runStatement<EnteredRow>(this.#pool, statements.append, [JSON.stringify(rows)]);
    const byId = Map.groupBy(toCommittedEntries(rows, entered), (entry) => entry.notification.id);
    return rows.map(({ id }) => byId.get(id) ?? []);
  }

  async #replay(wants: readonly ReplayWant[]): Promise<(RoomPage | undefined)[]> {
    const rows = await runStatement<PageRow>(this.#pool, statements.replay, [
      wants.map((want) => want.room),
      wants.map((want) => want.epoch ?? null),
      wants.map((want) => want.after),
      pageSize,
      pageBytes,
    ]);
    return toPages(wants, rows);
  }

  async #readHeads(asked: readonly (readonly string[])[]): Promise<ReadonlyMap<string, RoomHead>[]> {
    const rows = await runStatement<{ key: string; epoch: string; lastSeq: number }>(this.#pool, statements.heads, [
      [...new Set(asked.flat())],
    ]);
    const heads = new Map(rows.map(({ key, epoch, lastSeq }) => [key, { epoch, seq: lastSeq }]));
    return asked.map(() => heads);
  }
}

function toPages(wants: readonly { readonly room: string }[], rows: readonly PageRow[]): (RoomPage | undefined)[] {
  const byWant = Map.groupBy(rows, (row) => row.ord);
  return wants.map(({ room }, index) => {
    const page = byWant.get(index + 1);
    const [first] = page ?? [];
    if (page === undefined || first === undefined) return undefined;
    const { epoch, lastSeq } = first;
    return { room, epoch, lastSeq, entries: page.flatMap((row) => toEntry(room, row)) };
  });
}

function toEntry(room: string, row: PageRow): CommittedEntry[] {
  // A room without entries to give is one row of nulls.
  if (row.seq === null) return [];
  const { id, type, status, requestId, eventId, error } = row;
  const data = JSON.parse(row.data) as Json;
  const timestamp = row.timestamp.toISOString();
  const rest = {
    ...(requestId !== null && { requestId }),
    ...(eventId !== null && { eventId }),
    ...(error !== null && { error }),
  };
  return [{ room, seq: row.seq, epoch: row.epoch, notification: { id, type, data, status, timestamp, ...rest } }];
}
