import type { ResetReason, RoomHead, WireNotification } from '../realtime/contract.js';
import type { RoomListeners } from './types.js';

interface Listener {
  readonly hears: RoomListeners;
  /** The last that it has, or need not have; undefined: all that comes. */
  position: RoomHead | undefined;
  /** Begins with what comes after the next answer. */
  startsNow: boolean;
  /** Has not been told to load what it shows. */
  isNew: boolean;
}

/** Who listens to a room. They may have come at different times and begun at different places; each hears each thing once. */
export class Audience {
  readonly #listeners = new Set<Listener>();
  readonly #onThrown: (thrown: unknown) => void;

  constructor(onThrown: (thrown: unknown) => void) {
    this.#onThrown = onThrown;
  }

  get size(): number {
    return this.#listeners.size;
  }

  /**
   * @param start undefined: from now on, which is behind `head` where the room is heard already
   * @returns what ends it
   */
  add(hears: RoomListeners, start: RoomHead | undefined, head: RoomHead | undefined): () => void {
    const startsNow = start === undefined && head === undefined;
    const listener: Listener = { hears, position: start ?? head, startsNow, isNew: true };
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** An answer has come. */
  answered(head: RoomHead, reset: ResetReason | undefined): void {
    for (const listener of this.#listeners) {
      if (listener.startsNow) listener.position = head;
      listener.startsNow = false;
      const reason = reset ?? (listener.isNew ? 'first' : undefined);
      listener.isNew = false;
      if (reason !== undefined) this.#call(() => listener.hears.onReset?.(reason));
    }
  }

  notify(notification: WireNotification): void {
    const { epoch, seq } = notification;
    for (const listener of this.#listeners) {
      if (listener.position?.epoch === epoch && seq <= listener.position.seq) continue;
      listener.position = { epoch, seq };
      this.#call(() => listener.hears.onNotification?.(notification));
    }
  }

  each(call: (listeners: RoomListeners) => void): void {
    for (const { hears } of this.#listeners) this.#call(() => call(hears));
  }

  #call(run: () => void): void {
    try {
      run();
    } catch (thrown) {
      this.#onThrown(thrown);
    }
  }
}
