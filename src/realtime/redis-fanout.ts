import type { Clock } from '../platform/clock.js';
import { toError } from '../platform/errors.js';
import type { Redis } from '../platform/redis.js';
import type { AdapterFrames } from './adapter-frame.js';
import { atMost } from './at-most.js';
import type { Ephemeral } from './contract.js';
import { floorOf, type BatchResult, type RoomBatch, type RoomFanout } from './fanout.js';
import { publishScript } from './publish-script.js';
import { RedisAway, RedisGeneration } from './redis-generation.js';
import { parseRoomKey } from './rooms.js';

/** How long a room without notifications stays warm. A request is over soon; a user comes back. */
const warmMs = { request: 120_000, user: 900_000 };

/** A connection can look open and be dead (Redis frozen, network gone). */
const answerMs = 2_000;

/** Through the Redis adapter of every realtime process: one script per room keeps the order and publishes. */
export class RedisFanout implements RoomFanout {
  readonly #redis: Redis;
  readonly #frames: AdapterFrames;
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #generation: RedisGeneration;
  /** Publishes without an answer in time. While there are any no more are sent, or they would fill the memory. */
  #stuck = 0;

  constructor(redis: Redis, frames: AdapterFrames, options: { readonly prefix: string; readonly clock: Clock }) {
    this.#redis = redis;
    this.#frames = frames;
    this.#prefix = options.prefix;
    this.#clock = options.clock;
    this.#generation = new RedisGeneration(redis);
    redis.defineCommand('synapPublish', { lua: publishScript, numberOfKeys: 1 });
  }

  async publish(batches: readonly RoomBatch[]): Promise<readonly BatchResult[]> {
    const generation = await atMost(answerMs, this.#generation.current(), this.#clock);
    if (generation === undefined || this.#stuck > 0) throw new RedisAway('Redis does not answer');
    const replies = await this.#send(batches.map((batch) => this.#command(batch, generation)));
    return batches.map((_, index) => toResult(replies[index]));
  }

  /** Given up in time it may still happen, in its order and once, as the script sees to. */
  async #send(commands: (string | number | Buffer)[][]): Promise<Replies> {
    const sent = this.#redis.pipeline(commands).exec();
    const replies = await atMost(answerMs, sent, this.#clock);
    if (replies !== undefined) return replies ?? [];
    this.#stuck++;
    const isOver = () => void this.#stuck--;
    sent.then(isOver, isOver);
    throw new RedisAway('Redis did not answer in time');
  }

  ephemeral(room: string, frame: Ephemeral): boolean {
    if (this.#redis.status !== 'ready' || this.#stuck > 0) return false;
    // Lost with the connection, as anything ephemeral may be.
    this.#redis.publish(this.#frames.channel(room), this.#frames.ephemeral(room, frame)).catch(() => undefined);
    return true;
  }

  #command(batch: RoomBatch, generation: string): (string | number | Buffer)[] {
    const { room, epoch, entries } = batch;
    const frames = entries.flatMap((entry) => [entry.seq, this.#frames.notification(entry)]);
    const lifetimeMs = warmMs[parseRoomKey(room).kind];
    return [
      'synapPublish',
      this.#key(room, epoch, generation),
      lifetimeMs,
      this.#frames.channel(room),
      floorOf(batch) ?? -1,
      ...frames,
    ];
  }

  /** All keys of a room share its hash tag, so that in a cluster one script may touch them. */
  #key(room: string, epoch: string, generation: string): string {
    return `${this.#prefix}:room:{${room}}:${generation}:${epoch}:top`;
  }
}

type Replies = readonly [error: Error | null, result: unknown][];

function toResult(reply: Replies[number] | undefined): BatchResult {
  if (reply === undefined) return { outcome: 'failed', error: new Error('Redis did not answer') };
  const [error, result] = reply;
  if (error !== null) return { outcome: 'failed', error: toError(error) };
  const [gap, top, fresh] = result as [number, number, number];
  if (gap === 1) return { outcome: 'gap', top: top === -1 ? undefined : top, fresh };
  return { outcome: 'published', top, fresh };
}
