import type { Clock } from '../../platform/clock.js';
import type { Device, RealtimeIo } from '../io.js';
import type { Connection } from '../presence.js';

/** A device of a user, as this process knows it. `since` is when its oldest connection was made: milliseconds since the epoch. */
export interface LocalDevice {
  readonly name: string | undefined;
  readonly connections: number;
  readonly since: number;
}

interface Known {
  name: string | undefined;
  /** When each of its connections was made, the oldest first. */
  readonly connections: Set<{ readonly since: number }>;
}

export interface Changes {
  onRoom?(room: string): void;
  /** `device` is the device's id, empty for connections that name none. */
  onDevice?(userId: string, device: string): void;
}

/** The connections of this process: sockets, as Socket.IO knows them, and what else is connected. */
export class LocalConnections {
  readonly #clock: Clock;
  readonly #changes: Changes;
  /** By user, then by the device's id. */
  readonly #devices = new Map<string, Map<string, Known>>();
  /** Streams by room; sockets are counted by their server. */
  readonly #streams = new Map<string, number>();
  #io: RealtimeIo | undefined;

  constructor(clock: Clock, changes: Changes = {}) {
    this.#clock = clock;
    this.#changes = changes;
  }

  /** Before any socket connects. The adapter must be the server's final one. */
  attach(io: RealtimeIo): void {
    this.#io = io;
    const changed = (room: string) => this.#changes.onRoom?.(room);
    io.sockets.adapter.on('join-room', changed);
    io.sockets.adapter.on('leave-room', changed);
    io.on('connection', (socket) => {
      const { identity, device } = socket.data;
      socket.on('disconnect', this.#add(identity.userId, device));
    });
  }

  /** @returns what ends it */
  connect({ room, userId, device }: Connection): () => void {
    const remove = this.#add(userId, device);
    this.#countStream(room, 1);
    return () => {
      remove();
      this.#countStream(room, -1);
    };
  }

  count(room: string): number {
    return (this.#io?.sockets.adapter.rooms.get(room)?.size ?? 0) + (this.#streams.get(room) ?? 0);
  }

  device(userId: string, id: string): LocalDevice | undefined {
    const known = this.#devices.get(userId)?.get(id);
    const [oldest] = known?.connections ?? [];
    if (known === undefined || oldest === undefined) return undefined;
    return { name: known.name, connections: known.connections.size, since: oldest.since };
  }

  devicesOf(userId: string): readonly string[] {
    return [...(this.#devices.get(userId)?.keys() ?? [])];
  }

  /** Says all of it as changed. */
  repeat(): void {
    for (const room of new Set([...(this.#io?.sockets.adapter.rooms.keys() ?? []), ...this.#streams.keys()]))
      this.#changes.onRoom?.(room);
    for (const userId of this.#devices.keys())
      for (const device of this.devicesOf(userId)) this.#changes.onDevice?.(userId, device);
  }

  #add(userId: string, device: Device | undefined): () => void {
    const id = device?.id ?? '';
    const devices = this.#devices.get(userId) ?? new Map<string, Known>();
    this.#devices.set(userId, devices);
    const known = devices.get(id) ?? { name: undefined, connections: new Set() };
    devices.set(id, known);
    known.name = device?.name ?? known.name;
    const connection = { since: this.#clock.now() };
    known.connections.add(connection);
    this.#changes.onDevice?.(userId, id);
    return () => {
      known.connections.delete(connection);
      if (known.connections.size === 0 && devices.get(id) === known) devices.delete(id);
      if (devices.size === 0 && this.#devices.get(userId) === devices) this.#devices.delete(userId);
      this.#changes.onDevice?.(userId, id);
    };
  }

  #countStream(room: string, by: 1 | -1): void {
    const count = (this.#streams.get(room) ?? 0) + by;
    if (count === 0) this.#streams.delete(room);
    else this.#streams.set(room, count);
    this.#changes.onRoom?.(room);
  }
}
