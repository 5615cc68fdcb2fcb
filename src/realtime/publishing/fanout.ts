import type { Ephemeral, WireNotification } from '../contract.js';
import type { CommittedEntry, StoredNotification } from './publisher.js';
import { parseRoomKey, wireName } from '../rooms.js';

/** Entries of one room, by ascending seq. */
export interface RoomBatch {
  readonly room: string;
  readonly epoch: string;
  /** Everything up to here is published or gone, as Postgres says; a room whose top is unknown or lower starts from here. */
  readonly floor?: number | undefined;
  /** Where the entries were read from Postgres: the room's head there, and when. A batch without it tells of what has just committed. */
  readonly asOf?: { readonly head: number; readonly atMs: number } | undefined;
  readonly entries: readonly CommittedEntry[];
}

/**
 * - `published`: every entry of the batch is published, by this call or an earlier one.
 * - `gap`: from some entry on nothing was, because one before it is missing.
 * - `failed`: unknown.
 * `top` is the newest seq that is published in the room; undefined where nobody remembers ("cold").
 */
export type BatchResult =
  | { readonly outcome: 'published'; readonly top: number; readonly fresh: number }
  | { readonly outcome: 'gap'; readonly top: number | undefined; readonly fresh: number }
  | { readonly outcome: 'failed'; readonly error: Error };

/**
 * The way from one publisher to the sockets of every replica. It keeps the order: an entry goes out right after the one
 * before it or not at all, and once however often it is given. One implementation for Redis, one for a single node.
 */
export interface RoomFanout {
  /** One result per batch. Rejects where nothing can be published at all. */
  publish(batches: readonly RoomBatch[]): Promise<readonly BatchResult[]>;
  /** Best effort. @returns false where it could not be sent. */
  ephemeral(room: string, frame: Ephemeral): boolean;
}

/** What comes before the first entry of a room is nothing, and nothing is always published. */
export function floorOf(batch: RoomBatch): number | undefined {
  return batch.floor ?? (batch.entries[0]?.seq === 1 ? 0 : undefined);
}

export function toWire(entry: CommittedEntry): WireNotification {
  return { ...entry.notification, room: wireName(parseRoomKey(entry.room)), seq: entry.seq, epoch: entry.epoch };
}

/** Progress is replaced by the next, so a slow client may miss it. Text is added to what came before, so it may not. */
export const isVolatile = (frame: Ephemeral): boolean => frame.event === 'progress';

/** The event whose streamed text this notification takes the place of. */
export const endedStream = ({ status, eventId }: StoredNotification): string | undefined =>
  status === 'pending' ? undefined : eventId;
