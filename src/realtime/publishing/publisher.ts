import type { Ephemeral, WireNotification } from '../contract.js';

/** A notification as every room that it goes to gets it. */
export type StoredNotification = Omit<WireNotification, 'room' | 'seq' | 'epoch'>;

/** A notification in a room, committed to Postgres. `room` is the inside key. */
export interface CommittedEntry {
  readonly room: string;
  readonly seq: number;
  readonly epoch: string;
  readonly notification: StoredNotification;
}

/**
 * Tells the rooms' sockets, on every replica, what was committed. Called after COMMIT; never throws and never blocks
 * the caller: what could not be published (Redis away, process killed) is published from Postgres later, in order.
 */
export interface Publisher {
  publish(entries: readonly CommittedEntry[]): void;
  /** Best effort, unordered with notifications, dropped where nobody listens. `room` is the inside key. */
  ephemeral(room: string, frame: Ephemeral): void;
}
