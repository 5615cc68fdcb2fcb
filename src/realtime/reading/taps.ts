import type { Ephemeral, WireNotification } from '../contract.js';
import type { RoomTap, TapListener } from './tap.js';

/** Who listens to which rooms inside this process. */
export class Taps implements RoomTap {
  readonly #rooms = new Map<string, Set<TapListener>>();

  tap(room: string, listener: TapListener): () => void {
    const listeners = this.#rooms.get(room) ?? new Set();
    this.#rooms.set(room, listeners);
    // One listener may be given twice: each tap is a thing of its own.
    const own = { ...listener };
    listeners.add(own);
    return () => {
      listeners.delete(own);
      if (listeners.size === 0 && this.#rooms.get(room) === listeners) this.#rooms.delete(room);
    };
  }

  has(room: string): boolean {
    return this.#rooms.has(room);
  }

  notification(room: string, notification: WireNotification): void {
    for (const listener of this.#of(room)) listener.onNotification?.(notification);
  }

  ephemeral(room: string, frame: Ephemeral): void {
    for (const listener of this.#of(room)) listener.onEphemeral?.(frame);
  }

  /** Something may have been missed, in one room or in all. */
  check(room?: string): void {
    const rooms = room === undefined ? [...this.#rooms.keys()] : [room];
    for (const each of rooms) for (const listener of this.#of(each)) listener.onCheck?.();
  }

  /** A copy: who hears something may end a tap, or begin one. */
  #of(room: string): readonly TapListener[] {
    return [...(this.#rooms.get(room) ?? [])];
  }
}
