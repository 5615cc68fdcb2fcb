import type { Ephemeral, WireNotification } from '../contract.js';

/** What goes to a room, heard inside this process: for streams (SSE) and for the probe that proves that frames arrive. None may throw. */
export interface TapListener {
  readonly onNotification?: (notification: WireNotification) => void;
  readonly onEphemeral?: (frame: Ephemeral) => void;
  /** Something may have been missed: compare with the log. */
  readonly onCheck?: () => void;
}

export interface RoomTap {
  /**
   * Listens to a room (an inside key) from now on, at most once to each frame and in the order in which they are published.
   * @returns what ends it
   */
  tap(room: string, listener: TapListener): () => void;
}
