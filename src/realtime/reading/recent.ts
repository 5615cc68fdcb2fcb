import type { RoomHead, WireDelta, WireNotification } from '../contract.js';

/** What a reader has of a room. */
export type Have = RoomHead & { readonly epoch: string };

export interface Recent {
  /**
   * All that was published after what the reader has, up to `top`; undefined where that is not known. What is not published yet comes
   * live to whoever joined before the read.
   */
  readonly tail: { readonly top: number; readonly notifications: readonly WireNotification[] } | undefined;
  /** Where the tail is not believed: from what Postgres has, read after this, whoever comes next may believe it. */
  readonly prove?: ((head: number) => void) | undefined;
  /** The texts that are being written, from offset 0. */
  readonly streams: readonly WireDelta[];
}

/** What rooms remember of what was just published, so that those who come back after a moment need not read Postgres. */
export interface RecentRooms {
  /** Undefined where nothing is known in time. Never rejects. */
  read(room: string, have: Have | undefined): Promise<Recent | undefined>;
}
