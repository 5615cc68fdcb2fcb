import type { IncomingMessage } from 'node:http';
import type { Response } from 'express';
import type { Clock, Random } from '../../platform/clock.js';
import { SynapError, toError } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import type { Metrics } from '../../platform/metrics.js';
import type { Closing, SocketErrorCode } from '../../realtime/contract.js';
import type { ConnectionCounts } from '../../realtime/sockets/connection-counts.js';
import { RoomStream, type RoomStreamDeps, type StreamSince } from '../../realtime/reading/room-stream.js';
import type { Device } from '../../realtime/io.js';
import type { Presence } from '../../realtime/presence.js';
import { roomKey, type Room } from '../../realtime/rooms.js';
import { EventStream } from './event-stream.js';

export interface StreamLimits {
  /** What waits for one client; more means that it does not read. */
  readonly bufferBytes: number;
  /** The time over which the streams of a process that stops are closed. */
  readonly drainMs: number;
}

export interface OpenStreamsDeps extends RoomStreamDeps {
  readonly clock: Clock;
  readonly presence: Pick<Presence, 'connect'>;
  /** Places that sockets take as well. */
  readonly users: Pick<ConnectionCounts, 'take'>;
  readonly addresses: { take(request: IncomingMessage): (() => void) | undefined };
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly limits: StreamLimits;
}

export interface StreamWant {
  readonly room: Room;
  readonly since: StreamSince | undefined;
  readonly userId: string;
  readonly expiresAt: number | undefined;
  readonly device?: Device | undefined;
}

type EndReason = Extract<SocketErrorCode, 'token_expired' | 'draining' | 'slow_consumer' | 'unavailable'>;

const heartbeatMs = 15_000;
/** The last frame before a silence can be lost without a gap to show it: every so many heartbeats the log is asked. */
const beatsPerCheck = 2;
/** setTimeout cannot wait longer than 2^31 ms; a token may. */
const longestTimerMs = 86_400_000;
const retryMs = 1_000;

interface Open {
  /** The first reason to end it; none where its client has left. */
  reason: EndReason | undefined;
  end(reason: EndReason): void;
}

interface Parts {
  readonly room: RoomStream;
  readonly sink: EventStream;
  readonly res: Response;
}

const messages: Readonly<Record<Exclude<EndReason, 'slow_consumer'>, string>> = {
  token_expired: 'The token has expired',
  draining: 'This server is going away; connect again',
  unavailable: 'Temporarily unavailable, try again shortly',
};

/** The streams that are open in this process: each has a heartbeat, ends with its token, and with the process. */
export class OpenStreams {
  readonly #deps: OpenStreamsDeps;
  readonly #open = new Set<Open>();
  #isDraining = false;

  constructor(deps: OpenStreamsDeps) {
    this.#deps = deps;
  }

  /** Resolves when the answer has begun. @throws SynapError `rate_limited`, `unavailable` */
  async open(want: StreamWant, res: Response): Promise<void> {
    // Its client has left while the token was checked: nothing would give its places back.
    if (hasLeft(res)) return;
    this.#refuseWhileDraining();
    res.once('close', this.#takePlaces(want.userId, res.req));
    const stream: Open = {
      reason: undefined,
      end: (why) => {
        stream.reason ??= why;
        room.close();
        this.#end(sink, why);
      },
    };
    const sink = new EventStream(res, this.#deps.limits.bufferBytes, () => stream.end('slow_consumer'));
    const room = new RoomStream(this.#deps, { ...want, onFailure: (thrown) => this.#onFailure(thrown, stream) }, sink);
    res.once('close', () => room.close());
    const begin = await room.open();
    if (hasLeft(res)) return;
    this.#refuseWhileDraining();
    this.#keep(stream, want, { room, sink, res });
    sink.begin();
    begin();
  }

  /** New ones are refused, and those there are closed one after the other, so that their clients do not all come at once. */
  async close(): Promise<void> {
    this.#isDraining = true;
    const { clock, random, limits } = this.#deps;
    await Promise.all(
      Array.from(this.#open, async (stream) => {
        await new Promise<void>((resolve) => void clock.after(random() * limits.drainMs, resolve));
        stream.end('draining');
      }),
    );
  }

  /** @returns what gives them back */
  #takePlaces(userId: string, request: IncomingMessage): () => void {
    const { users, addresses } = this.#deps;
    const leaveAddress = addresses.take(request);
    if (leaveAddress === undefined) throw tooMany('this address');
    const leaveUser = users.take(userId);
    if (leaveUser === undefined) {
      leaveAddress();
      throw tooMany('this user');
    }
    return () => {
      leaveAddress();
      leaveUser();
    };
  }

  #refuseWhileDraining(): void {
    if (this.#isDraining) throw new SynapError('unavailable', 'this process stops', { retryAfterMs: retryMs });
  }

  #keep(stream: Open, want: StreamWant, { room, sink, res }: Parts): void {
    const { metrics, presence } = this.#deps;
    this.#open.add(stream);
    metrics.eventStreams.inc();
    const leave = presence.connect({ ...want, room: roomKey(want.room) });
    const cancels = [this.#beat(room, sink), this.#endAt(want.expiresAt, stream), leave];
    res.once('close', () => {
      for (const cancel of cancels) cancel();
      this.#open.delete(stream);
      metrics.eventStreams.dec();
      metrics.eventStreamsClosed.inc({ reason: stream.reason ?? 'client' });
    });
  }

  #end(sink: EventStream, why: EndReason): void {
    // Whoever does not read would not read this either.
    if (why === 'slow_consumer') return sink.destroy();
    const payload: Closing = { code: why, message: messages[why] };
    sink.end({ event: 'closing', payload }, Math.round(retryMs * (1 + this.#deps.random())));
  }

  #beat(room: RoomStream, sink: EventStream): () => void {
    let beats = 0;
    let cancel = (): void => undefined;
    const wait = (): void => {
      cancel = this.#deps.clock.after(heartbeatMs, () => {
        sink.heartbeat();
        if (++beats % beatsPerCheck === 0) room.check();
        wait();
      });
    };
    wait();
    return () => cancel();
  }

  #endAt(expiresAt: number | undefined, stream: Open): () => void {
    if (expiresAt === undefined) return () => undefined;
    const { clock } = this.#deps;
    let cancel = (): void => undefined;
    const wait = (): void => {
      const leftMs = expiresAt - clock.now();
      if (leftMs > 0) cancel = clock.after(Math.min(leftMs, longestTimerMs), wait);
      else stream.end('token_expired');
    };
    wait();
    return () => cancel();
  }

  #onFailure(thrown: unknown, stream: Open): void {
    this.#deps.logger.warn({ err: toError(thrown) }, 'a stream could not go on');
    stream.end('unavailable');
  }
}

const hasLeft = (res: Response): boolean => res.destroyed;

const tooMany = (of: string): SynapError =>
  new SynapError('rate_limited', `${of} has all the connections that it may have`, {
    publicMessage: `Too many connections of ${of}, sockets included: close some.`,
    retryAfterMs: heartbeatMs,
  });
