import type { Clock } from '../platform/clock.js';
import type { Redis } from '../platform/redis.js';
import { atMost } from './at-most.js';
import type { RealtimeIo } from './io.js';
import { localCount, type Presence } from './presence.js';
import { isRoomKey } from './rooms.js';

/** Every replica says its counts again at this interval, which also restores what Redis lost, … */
const refreshMs = 30_000;
/** … and what it says is believed this long: a killed replica's sockets are gone after it. */
const validMs = 90_000;
const answerMs = 1_000;
const perPipeline = 500;

/**
 * A hash per room, a field per replica: `<sockets>:<valid until>`. A replica writes a room when its own count changes,
 * a turn's changes in one pipeline, so a join costs no answer and a count is one read.
 */
export class RedisPresence implements Presence {
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #nodeId: string;
  readonly #clock: Clock;
  readonly #changed = new Set<string>();
  #io: RealtimeIo | undefined;
  #cancel: (() => void) | undefined;
  #writing: Promise<void> | undefined;

  constructor(redis: Redis, options: { readonly prefix: string; readonly nodeId: string; readonly clock: Clock }) {
    this.#redis = redis;
    this.#prefix = options.prefix;
    this.#nodeId = options.nodeId;
    this.#clock = options.clock;
  }

  /** From now on this replica's counts are said. The adapter must be the server's final one. */
  attach(io: RealtimeIo): void {
    this.#io = io;
    const { adapter } = io.sockets;
    const changed = (room: string) => this.#onChange(room);
    adapter.on('join-room', changed);
    adapter.on('leave-room', changed);
    // What was not said while Redis was away, and what it may have forgotten.
    this.#redis.on('ready', () => this.#sayAll());
    this.#refreshLater();
  }

  /** Redis away, frozen or empty: what is known here. */
  async count(room: string): Promise<number> {
    const local = localCount(this.#io, room);
    if (this.#redis.status !== 'ready') return local;
    const said = this.#redis.hgetall(this.#key(room)).catch(() => ({}));
    return local + this.#sumOfOthers((await atMost(answerMs, said, this.#clock)) ?? {});
  }

  /** Resolves when what changed so far is said. Never rejects. */
  async settle(): Promise<void> {
    await this.#writing;
    if (this.#changed.size > 0) await this.#startWriting();
  }

  /** Takes this replica's counts back. */
  async stop(): Promise<void> {
    this.#cancel?.();
    await atMost(answerMs, this.settle(), this.#clock);
  }

  #sumOfOthers(said: Record<string, string>): number {
    let sum = 0;
    for (const [nodeId, value] of Object.entries(said)) {
      const [count, until] = value.split(':').map(Number);
      if (nodeId !== this.#nodeId && (until ?? 0) > this.#clock.now()) sum += count ?? 0;
    }
    return sum;
  }

  #onChange(room: string): void {
    // A socket is also in a room of its own, named by its id.
    if (!isRoomKey(room)) return;
    this.#changed.add(room);
    if (this.#changed.size === 1) setImmediate(() => void this.settle());
  }

  #refreshLater(): void {
    this.#cancel = this.#clock.after(refreshMs, () => {
      this.#sayAll();
      this.#refreshLater();
    });
  }

  #sayAll(): void {
    for (const room of this.#io?.sockets.adapter.rooms.keys() ?? []) this.#onChange(room);
  }

  #startWriting(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#changed.size > 0) {
      const rooms = [...this.#changed].slice(0, perPipeline);
      for (const room of rooms) this.#changed.delete(room);
      // They are said when Redis is back.
      if (this.#redis.status !== 'ready') continue;
      const pipeline = this.#redis.pipeline();
      for (const room of rooms) {
        const count = localCount(this.#io, room);
        const key = this.#key(room);
        if (count === 0) pipeline.hdel(key, this.#nodeId);
        else pipeline.hset(key, this.#nodeId, `${count}:${this.#clock.now() + validMs}`).pexpire(key, validMs);
      }
      await pipeline.exec().catch(() => undefined);
    }
  }

  #key(room: string): string {
    return `${this.#prefix}:presence:{${room}}`;
  }
}
