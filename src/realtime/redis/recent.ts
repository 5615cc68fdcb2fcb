import type { Clock } from '../../platform/clock.js';
import type { Redis } from '../../platform/redis.js';
import type { AdapterFrames } from './adapter-frame.js';
import { atMost } from './at-most.js';
import type { WireDelta } from '../contract.js';
import type { Have, Recent, RecentRooms } from '../reading/recent.js';
import { trust } from './publish-script.js';
import { RedisCalls, type Reply, type RoomCommand } from './calls.js';
import type { RedisGeneration } from './generation.js';
import { lifeScript, proveScript, resumeScript } from './resume-script.js';
import { RoomKeys } from './room-keys.js';
import { parseRoomKey, wireName } from '../rooms.js';

/** Postgres answers as well: nobody waits for a Redis that is slow. */
const answerMs = 500;
/** A life that nobody has asked for so long counts as a new one, which only makes reads cold. */
const lifeMs = 86_400_000;
/** Longer than what publishers know may be old and than clocks of machines differ, together (`freshMs` of the publish script). */
const unsureMicroseconds = 60_000_000;

interface Waiting {
  readonly room: string;
  readonly have: Have | undefined;
  readonly resolve: (recent: Recent | undefined) => void;
}

/**
 * The tails of rooms, as the publish script keeps them. A turn of the event loop's reads travel together.
 *
 * **Why what it gives can never skip a notification.** Let a room's top be T when it is read. The caller has joined the room before, so
 * whatever is published later comes live: all that matters is that nothing beyond T was published earlier. In this life of the key
 * (one Redis generation, one epoch, no expiry between) that is what `top` means. An earlier life may have come further, where a
 * publisher that knew Postgres as it was then (a repeated call, a frozen process) began the room again, below what was published. So a
 * room is believed only
 * - if its key is of the generation that this connection had before *and* after the read: not what a promoted replica remembers, nor
 *   what a command was sent again to;
 * - if its publisher's knowledge was fresh when it began (`born`): an earlier life that ended by expiry ended longer ago than that;
 * - if it began a minute after this life of Redis did: an earlier life that ended by FLUSHALL ended before that. The life is asked
 *   after the room, so a flush between the two is seen;
 * - if it has come up to what Postgres had when it began (`proof`).
 * A room that fails the second or third condition is believed after a reader has seen its key, then asked Postgres, and written what
 * that said as its `proof`: all earlier lives had ended by then.
 * Whatever is not sure is read from Postgres. (In a cluster, a FLUSHALL of one node alone is not seen in its first minute.)
 */
export class RedisRecent implements RecentRooms {
  readonly #redis: Redis;
  readonly #frames: AdapterFrames;
  readonly #keys: RoomKeys;
  readonly #generation: RedisGeneration;
  readonly #calls: RedisCalls;
  readonly #clock: Clock;
  #waiting: Waiting[] = [];

  constructor(
    redis: Redis,
    frames: AdapterFrames,
    options: { readonly prefix: string; readonly clock: Clock; readonly generation: RedisGeneration },
  ) {
    this.#redis = redis;
    this.#frames = frames;
    this.#keys = new RoomKeys(options.prefix);
    this.#generation = options.generation;
    this.#calls = new RedisCalls(redis, answerMs, options.clock);
    this.#clock = options.clock;
    redis.defineCommand('synapResume', { lua: resumeScript, numberOfKeys: 3 });
    redis.defineCommand('synapProve', { lua: proveScript, numberOfKeys: 1 });
    redis.defineCommand('synapLife', { lua: lifeScript, numberOfKeys: 1 });
  }

  read(room: string, have: Have | undefined): Promise<Recent | undefined> {
    // Text is streamed to requests alone.
    if (have === undefined && parseRoomKey(room).kind === 'user') return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#waiting.push({ room, have, resolve });
      if (this.#waiting.length === 1) setImmediate(() => void this.#flush());
    });
  }

  async #flush(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    const answers = await this.#readAll(waiting).catch(() => []);
    for (const [index, { resolve }] of waiting.entries()) resolve(answers[index]);
  }

  async #readAll(waiting: readonly Waiting[]): Promise<(Recent | undefined)[]> {
    if (this.#redis.status !== 'ready') return [];
    const before = await this.#current();
    const replies = await this.#calls.send([
      ...waiting.map((one) => this.#command(one, before)),
      { room: '', command: ['synapLife', this.#keys.life(before), lifeMs] },
    ]);
    const [error, since] = replies.at(-1) ?? [new Error('no answer'), 0];
    const isSame = error === null && (await this.#current()) === before;
    if (!isSame) return [];
    const sureFrom = Number(since) * 1_000_000 + unsureMicroseconds;
    return waiting.map((one, index) => this.#toRecent(one, replies[index], { sureFrom, generation: before }));
  }

  async #current(): Promise<string> {
    const generation = await atMost(answerMs, this.#generation.current(), this.#clock);
    if (generation === undefined) throw new Error('Redis does not answer');
    return generation;
  }

  #command({ room, have }: Waiting, generation: string): RoomCommand {
    const epoch = have?.epoch ?? '';
    const keys = [this.#keys.top(room, epoch, generation), this.#keys.tail(room, epoch, generation)];
    return { room, command: ['synapResumeBuffer', ...keys, this.#keys.streams(room), have?.seq ?? -1] };
  }

  #toRecent(one: Waiting, reply: Reply | undefined, redis: RedisNow): Recent | undefined {
    if (reply === undefined || reply[0] !== null) return undefined;
    const [top, born, proof, trusted, isAll, frames, streams] = reply[1] as Resumed;
    const isTrusted = trusted === trust.proven || (trusted === trust.inOldRedis && born > redis.sureFrom);
    const notifications = isTrusted && isAll === 1 && top >= proof ? this.#readFrames(frames) : undefined;
    const prove =
      isTrusted || top === -1 ? undefined : (head: number) => this.#prove(one, redis.generation, born, head);
    return { tail: notifications && { top, notifications }, prove, streams: toDeltas(one.room, streams) };
  }

  /** Not waited for: if it fails, the next reader asks Postgres too. */
  #prove({ room, have }: Waiting, generation: string, born: number, head: number): void {
    const command = ['synapProve', this.#keys.top(room, have?.epoch ?? '', generation), born, head];
    this.#calls.send([{ room, command }]).catch(() => undefined);
  }

  #readFrames(frames: readonly Buffer[]) {
    const heard = frames.map((frame) => this.#frames.read(frame));
    const notifications = heard.flatMap((one) => (one?.event === 'notification' ? [one.payload] : []));
    return notifications.length === frames.length ? notifications : undefined;
  }
}

interface RedisNow {
  /** Rooms that began later did so in a Redis that was no longer new; in microseconds of its clock. */
  readonly sureFrom: number;
  readonly generation: string;
}

type Resumed = readonly [
  top: number,
  born: number,
  proof: number,
  trusted: number,
  isAll: number,
  frames: readonly Buffer[],
  streams: readonly Buffer[],
];

/** Event id, attempt and text in turns. */
function toDeltas(key: string, parts: readonly Buffer[]): WireDelta[] {
  const room = parseRoomKey(key);
  const base = { room: wireName(room), requestId: room.requestId ?? '', offset: 0 };
  return Array.from({ length: parts.length / 3 }, (_, nth) => {
    const [eventId = '', attempt, text = ''] = parts.slice(nth * 3, nth * 3 + 3).map(String);
    return { ...base, eventId, attempt: Number(attempt), text };
  });
}
