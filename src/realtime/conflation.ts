import type { Clock } from '../platform/clock.js';
import type { Ephemeral, WireDelta } from './contract.js';

/** At most one frame per event in this time: nobody reads faster than ten steps a second; text should flow. */
const windowMs = { progress: 100, delta: 25 };

interface Window {
  pending: Ephemeral | undefined;
  cancel: () => void;
}

/** Thins ephemeral frames: the first goes at once, of what follows within the window the sum (text) or the last (progress). */
export class Conflation {
  readonly #send: (room: string, frame: Ephemeral) => void;
  readonly #clock: Clock;
  readonly #rooms = new Map<string, Map<string, Window>>();

  constructor(send: (room: string, frame: Ephemeral) => void, clock: Clock) {
    this.#send = send;
    this.#clock = clock;
  }

  offer(room: string, frame: Ephemeral): void {
    const key = `${frame.event}:${frame.payload.eventId}`;
    const window = this.#rooms.get(room)?.get(key);
    if (window === undefined) {
      this.#send(room, frame);
      this.#open(room, key, frame.event);
      return;
    }
    const merged = merge(window.pending, frame);
    if (merged === undefined && window.pending !== undefined) this.#send(room, window.pending);
    window.pending = merged ?? frame;
  }

  /** Sends what waits for this room: what is published to it next must not be overtaken by older news. */
  flush(room: string): void {
    const windows = this.#rooms.get(room);
    if (windows === undefined) return;
    this.#rooms.delete(room);
    for (const { pending, cancel } of windows.values()) {
      cancel();
      if (pending !== undefined) this.#send(room, pending);
    }
  }

  flushAll(): void {
    for (const room of this.#rooms.keys()) this.flush(room);
  }

  #open(room: string, key: string, event: Ephemeral['event']): void {
    const windows = this.#rooms.get(room) ?? new Map<string, Window>();
    this.#rooms.set(room, windows);
    windows.set(key, { pending: undefined, cancel: this.#clock.after(windowMs[event], () => this.#end(room, key)) });
  }

  #end(room: string, key: string): void {
    const windows = this.#rooms.get(room);
    const pending = windows?.get(key)?.pending;
    windows?.delete(key);
    if (windows?.size === 0) this.#rooms.delete(room);
    if (pending === undefined) return;
    this.#send(room, pending);
    this.#open(room, key, pending.event);
  }
}

/** One frame that says what both say, or undefined where that cannot be. */
function merge(pending: Ephemeral | undefined, frame: Ephemeral): Ephemeral | undefined {
  if (pending === undefined || frame.event === 'progress') return frame;
  if (pending.event !== 'delta' || !follows(pending.payload, frame.payload)) return undefined;
  return { event: 'delta', payload: { ...pending.payload, text: pending.payload.text + frame.payload.text } };
}

const follows = (before: WireDelta, after: WireDelta) =>
  before.attempt === after.attempt && before.offset + before.text.length === after.offset;
