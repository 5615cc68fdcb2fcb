import type { Clock } from '../../platform/clock.js';
import { toError } from '../../platform/errors.js';
import type { Redis } from '../../platform/redis.js';
import type { AdapterFrames } from './adapter-frame.js';
import { atMost } from './at-most.js';
import type { Ephemeral, WireDelta } from '../contract.js';
import { endedStream, floorOf, type BatchResult, type RoomBatch, type RoomFanout } from '../publishing/fanout.js';
import { publishScript } from './publish-script.js';
import { RedisCalls, type Reply, type RoomCommand } from './calls.js';
import { RedisAway, type RedisGeneration } from './generation.js';
import { deltaScript } from './resume-script.js';
import { RoomKeys } from './room-keys.js';
import { parseRoomKey } from '../rooms.js';
import { streamBounds } from '../publishing/stream-texts.js';

/** How long a room without notifications stays warm. A request is over soon; a user comes back. */
const warmMs = { request: 120_000, user: 900_000 };

const answerMs = 2_000;

interface RedisFanoutOptions {
  readonly prefix: string;
  readonly clock: Clock;
  readonly generation: RedisGeneration;
}

/** Through the Redis adapter of every realtime process: one script per room keeps the order and publishes. */
export class RedisFanout implements RoomFanout {
  readonly #redis: ScriptedRedis;
  readonly #frames: AdapterFrames;
  readonly #keys: RoomKeys;
  readonly #clock: Clock;
  readonly #generation: RedisGeneration;
  readonly #calls: RedisCalls;

  constructor(redis: Redis, frames: AdapterFrames, { prefix, clock, generation }: RedisFanoutOptions) {
    this.#frames = frames;
    this.#keys = new RoomKeys(prefix);
    this.#clock = clock;
    this.#generation = generation;
    this.#calls = new RedisCalls(redis, answerMs, clock);
    redis.defineCommand('synapPublish', { lua: publishScript, numberOfKeys: 3 });
    redis.defineCommand('synapDelta', { lua: deltaScript(streamBounds), numberOfKeys: 2 });
    this.#redis = redis as ScriptedRedis;
  }

  async publish(batches: readonly RoomBatch[]): Promise<readonly BatchResult[]> {
    const generation = await atMost(answerMs, this.#generation.current(), this.#clock);
    if (generation === undefined) throw new RedisAway('Redis does not answer');
    // Given up in time it may still happen, in its order and once, as the script sees to.
    const replies = await this.#calls.send(batches.map((batch) => this.#command(batch, generation)));
    return batches.map((_, index) => toResult(replies[index]));
  }

  ephemeral(room: string, frame: Ephemeral): boolean {
    if (this.#redis.status !== 'ready' || this.#calls.isStuck) return false;
    const channel = this.#frames.channel(room);
    const bytes = this.#frames.ephemeral(room, frame);
    const sent =
      frame.event === 'delta' ? this.#delta(room, frame.payload, channel, bytes) : this.#redis.publish(channel, bytes);
    // Lost with the connection, as anything ephemeral may be.
    sent.catch(() => undefined);
    return true;
  }

  #delta(room: string, delta: WireDelta, channel: string, frame: Buffer): Promise<unknown> {
    const { eventId, attempt, offset, text } = delta;
    const streams = this.#keys.streams(room);
    const piece = [eventId, attempt, offset, text.length, text, streamBounds.lifetimeMs];
    return this.#redis.synapDelta(streams, `${streams}:${eventId}`, channel, frame, ...piece);
  }

  #command(batch: RoomBatch, generation: string): RoomCommand {
    const { room, epoch, entries } = batch;
    const { kind } = parseRoomKey(room);
    const keys = [
      this.#keys.top(room, epoch, generation),
      this.#keys.tail(room, epoch, generation),
      this.#keys.streams(room),
    ];
    const asOf = batch.asOf ?? { head: 0, atMs: Date.parse(entries[0]?.notification.timestamp ?? '') || 0 };
    const parts = entries.flatMap((entry) => [
      entry.seq,
      this.#frames.notification(entry),
      (kind === 'request' && endedStream(entry.notification)) || '',
    ]);
    const first = [warmMs[kind], this.#frames.channel(room), floorOf(batch) ?? -1, asOf.head, asOf.atMs];
    return { room, command: ['synapPublish', ...keys, ...first, ...parts] };
  }
}

type ScriptedRedis = Redis & { synapDelta(...args: (string | number | Buffer)[]): Promise<unknown> };

function toResult(reply: Reply | undefined): BatchResult {
  if (reply === undefined) return { outcome: 'failed', error: new Error('Redis did not answer') };
  const [error, result] = reply;
  if (error !== null) return { outcome: 'failed', error: toError(error) };
  const [gap, top, fresh] = result as [number, number, number];
  if (gap === 1) return { outcome: 'gap', top: top === -1 ? undefined : top, fresh };
  return { outcome: 'published', top, fresh };
}
