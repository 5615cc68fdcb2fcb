import { decode, encode } from 'notepack.io';
import type { Ephemeral, WireNotification } from '../contract.js';
import { isVolatile } from '../publishing/fanout.js';
import type { CommittedEntry, StoredNotification } from '../publishing/publisher.js';
import { parseRoomKey, wireName } from '../rooms.js';
import type { PassedNotifications } from './passed-notifications.js';

/** What a frame says. */
export type Heard = { readonly event: 'notification'; readonly payload: WireNotification } | Ephemeral;

/**
 * Frames as @socket.io/redis-adapter 8.3 reads them, its private format: msgpack of `[uid, packet, options]` on the channel
 * `<key>#<namespace>#<room>#`. A frame for one room on the room's own channel is dropped by nodes without the room before they
 * decode it. The version is pinned in package.json, and a test delivers such frames through the real adapter.
 */
export class AdapterFrames {
  readonly #channelOfAll: string;
  /** Serialized once, however many rooms it goes to and however often it is sent. */
  readonly #packed = new WeakMap<StoredNotification, Buffer>();

  /** @param key the adapter's option `key` */
  constructor(key: string) {
    this.#channelOfAll = `${key}#/#`;
  }

  channel(room: string): string {
    return `${this.#channelOfAll}${room}#`;
  }

  notification({ room, seq, epoch, notification }: CommittedEntry): Buffer {
    let packed = this.#packed.get(notification);
    if (packed === undefined) {
      packed = pack(notification);
      this.#packed.set(notification, packed);
    }
    const payload = mergeMaps(packed, pack({ room: wireName(parseRoomKey(room)), seq, epoch }));
    return Buffer.concat([starts.notification, payload, options(room, false)]);
  }

  ephemeral(room: string, frame: Ephemeral): Buffer {
    return Buffer.concat([starts[frame.event], pack(frame.payload), options(room, isVolatile(frame))]);
  }

  /** The room of a channel; undefined for the one of all rooms. */
  roomOf(channel: Buffer): string | undefined {
    const name = channel.toString();
    const start = this.#channelOfAll.length;
    return name.length > start + 1 && name.startsWith(this.#channelOfAll) ? name.slice(start, -1) : undefined;
  }

  /** How the adapter reads a frame for the sockets of this process: one that went to them before says nothing. */
  parser(passed: PassedNotifications): { encode: (value: unknown) => Buffer; decode: (frame: Buffer) => unknown } {
    return {
      encode: pack,
      decode: (frame) => {
        const args = decode(frame) as unknown;
        if (!isFrame(args)) return args;
        const [uid, { data }, { rooms }] = args;
        const isNew = data[0] !== 'notification' || passed.pass(rooms[0], data[1] as WireNotification);
        return isNew ? args : [uid];
      },
    };
  }

  /** What a frame says; undefined where it is none of ours. */
  read(frame: Buffer): Heard | undefined {
    try {
      const [, packet] = decode(frame) as [unknown, { readonly data: [string, never] }];
      const [name, payload] = packet.data;
      return isOurs(name) ? { event: name, payload } : undefined;
    } catch {
      return undefined;
    }
  }
}

type Frame = [
  uid: string,
  packet: { readonly data: readonly [string, unknown] },
  options: { readonly rooms: [string] },
];

/** One that was made here, among what adapters tell each other. */
const isFrame = (args: unknown): args is Frame => Array.isArray(args) && args[0] === publisherUid;

const isOurs = (name: string): name is Heard['event'] =>
  name === 'notification' || name === 'progress' || name === 'delta';

const pack = (value: unknown): Buffer => encode(value) as Buffer;

/** An adapter ignores its own frames by their uid; no adapter has this one. */
const publisherUid = 'synap-publisher';
/** Socket.IO's packet type EVENT. */
const event = 2;

const fixArray = (length: number) => Buffer.of(0x90 | length);
const fixMap = (length: number) => Buffer.of(0x80 | length);

/** `[uid, {nsp, type, data: [name, ` up to where the payload follows. */
function frameStart(name: string): Buffer {
  const packet = [pack('nsp'), pack('/'), pack('type'), pack(event), pack('data'), fixArray(2), pack(name)];
  return Buffer.concat([fixArray(3), pack(publisherUid), fixMap(3), ...packet]);
}

/** The same in every frame, so made once: packing it anew took a third of what a frame costs its publisher. */
const starts: Readonly<Record<Heard['event'], Buffer>> = {
  notification: frameStart('notification'),
  progress: frameStart('progress'),
  delta: frameStart('delta'),
};

const options = (room: string, volatile: boolean): Buffer =>
  pack({ rooms: [room], except: [], flags: volatile ? { volatile: true } : {} });

/** Two maps as one. A map of up to 15 keys starts with one byte that holds their number. */
function mergeMaps(a: Buffer, b: Buffer): Buffer {
  const length = sizeOf(a) + sizeOf(b);
  if (length > 15) throw new RangeError('a notification has more than 15 fields');
  return Buffer.concat([fixMap(length), a.subarray(1), b.subarray(1)]);
}

function sizeOf(map: Buffer): number {
  const first = map[0] ?? 0;
  if ((first & 0xf0) !== 0x80) throw new RangeError('not a small map');
  return first & 0x0f;
}
