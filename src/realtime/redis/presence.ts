import { z } from 'zod';
import type { Clock } from '../../platform/clock.js';
import type { Redis } from '../../platform/redis.js';
import { atMost } from './at-most.js';
import type { RealtimeIo } from '../io.js';
import { LocalConnections } from '../local/connections.js';
import {
  partsOf,
  toDevices,
  type Connection,
  type DevicePart,
  type Presence,
  type PresentDevice,
} from '../presence.js';
import { RedisCalls, type RoomCommand } from './calls.js';
import { isRoomKey, roomKey, userRoom } from '../rooms.js';

/** Every replica says what it has again at this interval, which also restores what Redis lost, … */
const refreshMs = 30_000;
/** … and what it says is believed this long: a killed replica's connections are gone after it. */
const validMs = 90_000;
const answerMs = 1_000;
/** Changes gather so long: when a thousand come back at once, a script for each would cost more than letting them in. */
const gatherMs = 20;
const perScript = 50;

/**
 * Says fields, each of a hash of its own, or takes them back; and takes away those that nobody has said for so long that their replica is
 * gone, or that nobody can read: as long as somebody says something, the hash itself does not expire. Many at once, because a command
 * costs its sender more than a field costs Redis, and everybody who connects changes two. KEYS: the hashes; ARGV: the life of a hash in
 * ms, since when others count, then in turns field and value, which is empty to take the field back.
 */
const sayScript = `
for k = 1, #KEYS do
  local key, field, value = KEYS[k], ARGV[k * 2 + 1], ARGV[k * 2 + 2]
  if value == '' then
    redis.call('HDEL', key, field)
  else
    redis.call('HSET', key, field, value)
    redis.call('PEXPIRE', key, ARGV[1])
    if redis.call('HLEN', key) > 1 then
      local all = redis.call('HGETALL', key)
      for i = 1, #all, 2 do
        local till = string.match(all[i + 1], '^%d+:(%d+)$') or string.match(all[i + 1], '"until":(%d+)}$')
        if all[i] ~= field and (not till or tonumber(till) < tonumber(ARGV[2])) then redis.call('HDEL', key, all[i]) end
      end
    end
  end
end`;

/** A field of a hash that this replica writes. */
interface Saying {
  /** Inside key of the room that the hash is of, or of the user's. */
  readonly room: string;
  readonly key: string;
  readonly field: string;
  /** What is so now; undefined takes the field back. */
  readonly value: () => string | undefined;
}

/** `until` is the last: the script finds it there. */
const said = z.object({ n: z.int(), since: z.number(), name: z.string().optional(), until: z.number() });

/**
 * Two kinds of hashes. A room's has a field per replica, `<connections>:<valid until>`; a user's devices a field per replica and
 * device. A replica writes a field when what it says changes, the changes of some milliseconds together, so a join costs no answer and
 * a look is one read.
 */
export class RedisPresence implements Presence {
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #nodeId: string;
  readonly #clock: Clock;
  readonly #calls: RedisCalls;
  readonly #connections: LocalConnections;
  readonly #changed = new Map<string, Saying>();
  #cancel: (() => void) | undefined;
  #cancelGathering: (() => void) | undefined;
  #writing: Promise<void> | undefined;

  constructor(redis: Redis, options: { readonly prefix: string; readonly nodeId: string; readonly clock: Clock }) {
    redis.defineCommand('synapSay', { lua: sayScript });
    this.#redis = redis;
    this.#calls = new RedisCalls(redis, answerMs, options.clock);
    this.#prefix = options.prefix;
    this.#nodeId = options.nodeId;
    this.#clock = options.clock;
    this.#connections = new LocalConnections(options.clock, {
      onRoom: (room) => this.#onRoom(room),
      onDevice: (userId, device) => this.#onDevice(userId, device),
    });
  }

  /** From now on what this replica has is said. The adapter must be the server's final one. */
  attach(io: RealtimeIo): void {
    this.#connections.attach(io);
    // What was not said while Redis was away, and what it may have forgotten.
    this.#redis.on('ready', () => this.#connections.repeat());
    this.#refreshLater();
  }

  connect(connection: Connection): () => void {
    return this.#connections.connect(connection);
  }

  /** Redis away, frozen or empty: what is known here. */
  async count(room: string): Promise<number> {
    return this.#connections.count(room) + this.#sumOfOthers(await this.#read(this.#roomHash(room)));
  }

  /** Redis away, frozen or empty: what is known here. */
  async devices(userId: string): Promise<readonly PresentDevice[]> {
    const own = partsOf(this.#connections, userId).map((part) => ({ ...part, replica: this.#nodeId }));
    const others = Object.entries(await this.#read(this.#userHash(userId)));
    return toDevices([...own, ...others.flatMap(([field, value]) => this.#ofOther(field, value))]);
  }

  /** Resolves when what changed so far is said. Never rejects. */
  async settle(): Promise<void> {
    await this.#writing;
    if (this.#changed.size > 0) this.#startWriting();
    await this.#writing;
  }

  /** Takes back what this replica has said. */
  async stop(): Promise<void> {
    this.#cancel?.();
    await atMost(answerMs, this.settle(), this.#clock);
  }

  async #read(key: string): Promise<Record<string, string>> {
    if (this.#redis.status !== 'ready') return {};
    const hash = this.#redis.hgetall(key).catch(() => ({}));
    return (await atMost(answerMs, hash, this.#clock)) ?? {};
  }

  #sumOfOthers(hash: Record<string, string>): number {
    let sum = 0;
    for (const [nodeId, value] of Object.entries(hash)) {
      const [count, until] = value.split(':').map(Number);
      if (nodeId !== this.#nodeId && (until ?? 0) > this.#clock.now()) sum += count ?? 0;
    }
    return sum;
  }

  #ofOther(field: string, value: string): DevicePart[] {
    const [replica = '', ...id] = field.split(' ');
    const { success, data } = said.safeParse(fromJson(value));
    if (!success || replica === this.#nodeId || data.until <= this.#clock.now()) return [];
    return [{ id: id.join(' '), name: data.name, connections: data.n, since: data.since, replica }];
  }

  #onRoom(room: string): void {
    // A socket is also in a room of its own, named by its id.
    if (!isRoomKey(room)) return;
    const value = (): string | undefined => {
      const count = this.#connections.count(room);
      return count === 0 ? undefined : `${count}:${this.#clock.now() + validMs}`;
    };
    this.#say({ room, key: this.#roomHash(room), field: this.#nodeId, value });
  }

  #onDevice(userId: string, id: string): void {
    const value = (): string | undefined => {
      const device = this.#connections.device(userId, id);
      if (device === undefined) return undefined;
      const { connections: n, since, name } = device;
      return JSON.stringify({ n, since, name, until: this.#clock.now() + validMs });
    };
    const room = roomKey(userRoom(userId));
    this.#say({ room, key: this.#userHash(userId), field: `${this.#nodeId} ${id}`, value });
  }

  #say(saying: Saying): void {
    this.#changed.set(`${saying.key} ${saying.field}`, saying);
    this.#cancelGathering ??= this.#clock.after(gatherMs, () => void this.settle());
  }

  #refreshLater(): void {
    this.#cancel = this.#clock.after(refreshMs, () => {
      this.#connections.repeat();
      this.#refreshLater();
    });
  }

  #startWriting(): void {
    this.#cancelGathering?.();
    this.#cancelGathering = undefined;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  /** What has changed until now; what changes meanwhile gathers again. */
  async #write(): Promise<void> {
    const changed = [...this.#changed.values()];
    this.#changed.clear();
    for (let from = 0; from < changed.length; from += perScript) {
      // They are said when Redis is back.
      if (this.#redis.status !== 'ready') return;
      await this.#calls.send(this.#commands(changed.slice(from, from + perScript))).catch(() => undefined);
    }
  }

  /** One for all; in a cluster one for each room, whose hashes lie together. */
  #commands(sayings: readonly Saying[]): RoomCommand[] {
    const groups = Map.groupBy(sayings, ({ room }) => (this.#redis.isCluster ? room : ''));
    return Array.from(groups, ([room, group]) => {
      const keys = group.map(({ key }) => key);
      const fields = group.flatMap(({ field, value }) => [field, value() ?? '']);
      // Clocks differ: what has just expired here may be valid where it was said.
      const command = ['synapSay', keys.length, ...keys, validMs, this.#clock.now() - validMs, ...fields];
      return { room, command };
    });
  }

  #roomHash(room: string): string {
    return `${this.#prefix}:presence:{${room}}`;
  }

  #userHash(userId: string): string {
    return `${this.#prefix}:devices:{${roomKey(userRoom(userId))}}`;
  }
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
