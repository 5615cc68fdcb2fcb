import { toError } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import type { Redis } from '../../platform/redis.js';
import type { AdapterFrames, Heard } from './adapter-frame.js';
import type { DeliveryLatency } from '../delivery-latency.js';
import type { RealtimeIo } from '../io.js';
import type { RoomTap, TapListener } from '../reading/tap.js';
import { Taps } from '../reading/taps.js';

export interface RedisTapDeps {
  /** A connection that does nothing but listen. */
  readonly connect: () => Redis;
  readonly frames: AdapterFrames;
  readonly latency: DeliveryLatency;
  readonly logger: Logger;
}

/**
 * Frames of the rooms that somebody in this process listens to. Where sockets are served, the adapter's connection hears every room
 * and this one looks at what it hears; elsewhere it subscribes to the channels of just these rooms. Frames are decoded for tapped
 * rooms alone. Whoever listens is told to check when the subscription has begun, or was interrupted.
 */
export class RedisTap implements RoomTap {
  readonly #deps: RedisTapDeps;
  readonly #taps = new Taps();
  /** Where the adapter's connection is not to be had. */
  #own: Redis | undefined;
  #io: RealtimeIo | undefined;
  #isClosed = false;

  constructor(deps: RedisTapDeps) {
    this.#deps = deps;
  }

  /** @param subscriber the adapter's connection, after the adapter listens to it: its sockets come first. */
  attach(subscriber: Redis, io: RealtimeIo): void {
    this.#io = io;
    subscriber.on('pmessageBuffer', (_pattern: unknown, channel: Buffer, frame: Buffer) =>
      this.#onFrame(channel, frame),
    );
    this.#own?.disconnect();
    this.#own = undefined;
    this.check();
  }

  tap(room: string, listener: TapListener): () => void {
    const isFirst = !this.#taps.has(room);
    const end = this.#taps.tap(room, listener);
    if (isFirst && this.#io === undefined) this.#subscribe(room);
    return () => {
      end();
      if (!this.#taps.has(room)) this.#unsubscribe(room);
    };
  }

  check(): void {
    this.#taps.check();
  }

  close(): void {
    this.#isClosed = true;
    this.#own?.disconnect();
  }

  #onFrame(channel: Buffer, frame: Buffer): void {
    const { frames, latency } = this.#deps;
    const room = frames.roomOf(channel);
    if (room === undefined) return;
    if (this.#taps.has(room)) this.#tell(room, frames.read(frame));
    if (this.#io?.sockets.adapter.rooms.has(room) !== true) return;
    latency.saw(() => {
      const heard = frames.read(frame);
      return heard?.event === 'notification' ? heard.payload : undefined;
    });
  }

  #tell(room: string, heard: Heard | undefined): void {
    if (heard?.event === 'notification') this.#taps.notification(room, heard.payload);
    else if (heard !== undefined) this.#taps.ephemeral(room, heard);
  }

  #subscribe(room: string): void {
    if (this.#isClosed) return;
    this.#own ??= this.#connect();
    this.#own.subscribe(this.#deps.frames.channel(room)).then(
      () => this.#taps.check(room),
      // Subscribed again by ioredis itself when the connection is back; `afterLoss` says so.
      (thrown: unknown) => this.#deps.logger.debug({ err: toError(thrown) }, 'a room could not be subscribed'),
    );
  }

  #unsubscribe(room: string): void {
    this.#own?.unsubscribe(this.#deps.frames.channel(room)).catch(() => undefined);
  }

  #connect(): Redis {
    const redis = this.#deps.connect();
    redis.on('messageBuffer', (channel: Buffer, frame: Buffer) => this.#onFrame(channel, frame));
    afterLoss(redis, () => this.check());
    return redis;
  }
}

/**
 * Calls `heal` when a subscriber is back and hears again. ioredis subscribes anew in the moment of `ready`, and a command that is
 * answered after it tells that Redis has done so: whoever compares heads earlier could miss what is published in between.
 */
export function afterLoss(subscriber: Redis, heal: () => void): void {
  let wasAway = false;
  subscriber.on('close', () => {
    wasAway = true;
  });
  subscriber.on('ready', () => {
    if (!wasAway) return;
    subscriber.ping().then(
      () => {
        wasAway = false;
        heal();
      },
      // Lost again: the next `ready` does it.
      () => undefined,
    );
  });
}
