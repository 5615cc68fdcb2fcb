import type { Clock } from '../../platform/clock.js';
import type { WireDelta } from '../contract.js';

export interface StreamBounds {
  /** Of one text. */
  readonly bytes: number;
  /** Of one room. */
  readonly streams: number;
  /** After its last piece. */
  readonly lifetimeMs: number;
}

/** A longer text, or one more, is heard and not kept: who comes in the middle of it waits for its end. */
export const streamBounds: StreamBounds = { bytes: 262_144, streams: 20, lifetimeMs: 600_000 };

interface Stream {
  readonly attempt: number;
  /** From offset 0; undefined where a piece is missing or it became too long. */
  readonly soFar: { readonly delta: WireDelta; readonly bytes: number } | undefined;
  readonly until: number;
}

/** Streams whose end nobody announced are looked for when so many rooms have some. */
const sweepEvery = 100;

/** The texts that are being written, as far as they have come; for a single node what `deltaScript` is for Redis. */
export class StreamTexts {
  readonly #clock: Clock;
  readonly #bounds: StreamBounds;
  readonly #rooms = new Map<string, Map<string, Stream>>();

  constructor(clock: Clock, bounds = streamBounds) {
    this.#clock = clock;
    this.#bounds = bounds;
  }

  /** Keeps a piece. @returns whether it is to be sent: not again, and not of an attempt that was superseded. */
  offer(room: string, delta: WireDelta): boolean {
    const { streams, lifetimeMs } = this.#bounds;
    const texts = this.#livingOf(room);
    const known = texts.get(delta.eventId);
    if (known !== undefined && isOld(known, delta)) return false;
    if (known === undefined && (delta.offset > 0 || texts.size >= streams)) return true;
    const soFar = this.#join(
      known !== undefined && known.attempt === delta.attempt ? known.soFar : empty(delta),
      delta,
    );
    this.#keep(room, texts);
    texts.set(delta.eventId, { attempt: delta.attempt, soFar, until: this.#clock.now() + lifetimeMs });
    return true;
  }

  /** The event's last word is said. */
  end(room: string, eventId: string): void {
    const texts = this.#rooms.get(room);
    texts?.delete(eventId);
    if (texts?.size === 0) this.#rooms.delete(room);
  }

  of(room: string): WireDelta[] {
    return [...this.#livingOf(room).values()].flatMap(({ soFar }) => (soFar === undefined ? [] : [soFar.delta]));
  }

  #join(before: Stream['soFar'], delta: WireDelta): Stream['soFar'] {
    if (before === undefined || before.delta.text.length !== delta.offset) return undefined;
    const bytes = before.bytes + Buffer.byteLength(delta.text);
    if (bytes > this.#bounds.bytes) return undefined;
    return { delta: { ...before.delta, text: before.delta.text + delta.text }, bytes };
  }

  #keep(room: string, texts: Map<string, Stream>): void {
    if (this.#rooms.get(room) === texts) return;
    this.#rooms.set(room, texts);
    if (this.#rooms.size % sweepEvery === 0) for (const each of this.#rooms.keys()) this.#livingOf(each);
  }

  #livingOf(room: string): Map<string, Stream> {
    const texts = this.#rooms.get(room) ?? new Map<string, Stream>();
    const now = this.#clock.now();
    for (const [eventId, { until }] of texts) if (until <= now) texts.delete(eventId);
    if (texts.size === 0) this.#rooms.delete(room);
    return texts;
  }
}

const empty = (delta: WireDelta): NonNullable<Stream['soFar']> => ({
  delta: { ...delta, offset: 0, text: '' },
  bytes: 0,
});

function isOld({ attempt, soFar }: Stream, delta: WireDelta): boolean {
  if (delta.attempt !== attempt) return delta.attempt < attempt;
  return soFar !== undefined && soFar.delta.text.length >= delta.offset + delta.text.length;
}
