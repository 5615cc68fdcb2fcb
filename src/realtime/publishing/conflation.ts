import type { Clock } from '../../platform/clock.js';
import type { Ephemeral, WireDelta } from '../contract.js';

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
    if (window === undefined) return this.#sendAndOpen(room, key, frame);
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

  #sendAndOpen(room: string, key: string, frame: Ephemeral): void {
    const [whole, rest] = splitWhole(frame);
    this.#send(room, whole);
    const windows = this.#rooms.get(room) ?? new Map<string, Window>();
    this.#rooms.set(room, windows);
    windows.set(key, { pending: rest, cancel: this.#clock.after(windowMs[frame.event], () => this.#end(room, key)) });
  }

  #end(room: string, key: string): void {
    const windows = this.#rooms.get(room);
    const pending = windows?.get(key)?.pending;
    windows?.delete(key);
    if (windows?.size === 0) this.#rooms.delete(room);
    if (pending !== undefined) this.#sendAndOpen(room, key, pending);
  }
}

/** One frame that says what both say, or undefined where that cannot be. */
function merge(pending: Ephemeral | undefined, frame: Ephemeral): Ephemeral | undefined {
  if (pending === undefined || frame.event === 'progress') return frame;
  if (pending.event !== 'delta' || !follows(pending.payload, frame.payload)) return undefined;
  return { event: 'delta', payload: { ...pending.payload, text: pending.payload.text + frame.payload.text } };
}

/**
 * A character outside the basic plane is two UTF-16 units. Between them nothing can be sent: half of one is not UTF-8, and would arrive
 * as a replacement character. The first half waits for the second, though not for longer than one window.
 */
function splitWhole(frame: Ephemeral): [whole: Ephemeral, rest: Ephemeral | undefined] {
  if (frame.event === 'progress') return [frame, undefined];
  const { text, offset } = frame.payload;
  const end = text.length - 1;
  if (end < 1 || !/[\uD800-\uDBFF]$/.test(text)) return [frame, undefined];
  const part = (from: number, piece: string): Ephemeral => ({
    event: 'delta',
    payload: { ...frame.payload, offset: offset + from, text: piece },
  });
  return [part(0, text.slice(0, end)), part(end, text.slice(end))];
}

const follows = (before: WireDelta, after: WireDelta) =>
  before.attempt === after.attempt && before.offset + before.text.length === after.offset;
