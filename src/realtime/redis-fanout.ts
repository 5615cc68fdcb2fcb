import { toError } from '../platform/errors.js';
import type { Redis } from '../platform/redis.js';
import type { AdapterFrames } from './adapter-frame.js';
import type { Ephemeral } from './contract.js';
import { floorOf, type BatchResult, type RoomBatch, type RoomFanout } from './fanout.js';
import { publishScript } from './publish-script.js';
import { RedisGeneration } from './redis-generation.js';
import { parseRoomKey } from './rooms.js';

/** How long a room without notifications stays warm. A request is over soon; a user comes back. */
const warmMs = { request: 120_000, user: 900_000 };

/** Through the Redis adapter of every realtime process: one script per room keeps the order and publishes. */
export class RedisFanout implements RoomFanout {
  readonly #redis: Redis;
  readonly #frames: AdapterFrames;
  readonly #prefix: string;
  readonly #generation: RedisGeneration;

  constructor(redis: Redis, frames: AdapterFrames, prefix: string) {
    this.#redis = redis;
    this.#frames = frames;
    this.#prefix = prefix;
    this.#generation = new RedisGeneration(redis);
    redis.defineCommand('synapPublish', { lua: publishScript, numberOfKeys: 1 });
  }

  async publish(batches: readonly RoomBatch[]): Promise<readonly BatchResult[]> {
    const generation = await this.#generation.current();
    const commands = batches.map((batch) => this.#command(batch, generation));
    const replies = (await this.#redis.pipeline(commands).exec()) ?? [];
    return batches.map((_, index) => toResult(replies[index]));
  }

  ephemeral(room: string, frame: Ephemeral): boolean {
    if (this.#redis.status !== 'ready') return false;
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

function toResult(reply: [error: Error | null, result: unknown] | undefined): BatchResult {
  if (reply === undefined) return { outcome: 'failed', error: new Error('Redis did not answer') };
  const [error, result] = reply;
  if (error !== null) return { outcome: 'failed', error: toError(error) };
  const [gap, top, fresh] = result as [number, number, number];
  if (gap === 1) return { outcome: 'gap', top: top === -1 ? undefined : top, fresh };
  return { outcome: 'published', top, fresh };
}
