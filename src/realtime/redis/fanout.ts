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
/** Entries of one script, of whatever rooms: a command for each room costs more than what it says; Redis does nothing else meanwhile. */
const entriesAtOnce = 64;

interface RedisFanoutOptions {
  readonly prefix: string;
  readonly clock: Clock;
  readonly generation: RedisGeneration;
}

/** Through the Redis adapter of every realtime process: one script keeps the order of each room and publishes. */
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
    redis.defineCommand('synapPublish', { lua: publishScript });
    redis.defineCommand('synapDelta', { lua: deltaScript(streamBounds), numberOfKeys: 2 });
    this.#redis = redis as ScriptedRedis;
  }

  async publish(batches: readonly RoomBatch[]): Promise<readonly BatchResult[]> {
    const generation = await atMost(answerMs, this.#generation.current(), this.#clock);
    if (generation === undefined) throw new RedisAway('Redis does not answer');
    // In a cluster each room has a node of its own.
    const groups = inGroups(batches, this.#redis.isCluster ? 0 : entriesAtOnce);
    // Given up in time it may still happen, in its order and once, as the script sees to.
    const replies = await this.#calls.send(groups.map((group) => this.#command(group, generation)));
    return groups.flatMap((group, index) => toResults(group, replies[index]));
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

  #command(batches: readonly RoomBatch[], generation: string): RoomCommand {
    const keys = batches.flatMap(({ room, epoch }) => [
      this.#keys.top(room, epoch, generation),
      this.#keys.tail(room, epoch, generation),
      this.#keys.streams(room),
    ]);
    const parts = batches.flatMap((batch) => this.#parts(batch));
    return { room: batches[0]?.room ?? '', command: ['synapPublish', keys.length, ...keys, ...parts] };
  }

  #parts(batch: RoomBatch): (string | number | Buffer)[] {
    const { room, entries } = batch;
    const { kind } = parseRoomKey(room);
    const asOf = batch.asOf ?? { head: 0, atMs: Date.parse(entries[0]?.notification.timestamp ?? '') || 0 };
    const first = [
      warmMs[kind],
      this.#frames.channel(room),
      floorOf(batch) ?? -1,
      asOf.head,
      asOf.atMs,
      entries.length,
    ];
    const each = entries.flatMap((entry) => [
      entry.seq,
      this.#frames.notification(entry),
      (kind === 'request' && endedStream(entry.notification)) || '',
    ]);
    return [...first, ...each];
  }
}

type ScriptedRedis = Redis & { synapDelta(...args: (string | number | Buffer)[]): Promise<unknown> };

/** In their order; what is more by itself stands alone. */
function inGroups(batches: readonly RoomBatch[], entries: number): RoomBatch[][] {
  const groups: RoomBatch[][] = [];
  let left = 0;
  for (const batch of batches) {
    left -= batch.entries.length;
    const last = groups.at(-1);
    if (last !== undefined && left >= 0) last.push(batch);
    else {
      groups.push([batch]);
      left = entries - batch.entries.length;
    }
  }
  return groups;
}

function toResults(batches: readonly RoomBatch[], reply: Reply | undefined): BatchResult[] {
  const [error, results] = reply ?? [new Error('Redis did not answer'), []];
  return batches.map((_, index) => {
    if (error !== null) return { outcome: 'failed', error: toError(error) };
    return toResult((results as ScriptResult[])[index]);
  });
}

type ScriptResult = readonly [gap: number, top: number, fresh: number];

function toResult(result: ScriptResult | undefined): BatchResult {
  if (result === undefined) return { outcome: 'failed', error: new Error('Redis did not answer') };
  const [gap, top, fresh] = result;
  if (gap === 1) return { outcome: 'gap', top: top === -1 ? undefined : top, fresh };
  return { outcome: 'published', top, fresh };
}
