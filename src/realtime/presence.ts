import { systemClock, type Clock } from '../platform/clock.js';
import type { Device, RealtimeIo } from './io.js';
import { LocalConnections } from './local/connections.js';

/** A connection that is no socket. `room` is the inside key of what it hears. */
export interface Connection {
  readonly room: string;
  readonly userId: string;
  readonly device?: Device | undefined;
}

/** A device of a user that is connected. Connections that name no device are one of the id null. */
export interface PresentDevice {
  readonly id: string | null;
  readonly name?: string;
  readonly connections: number;
  /** Of its oldest connection: ISO 8601. */
  readonly since: string;
  /** On how many replicas it is connected, where there can be several. */
  readonly replicas?: number;
}

/** Who is connected, on all replicas together. It is what the replicas last said, never a question to them. */
export interface Presence {
  /** How many connections a room has. */
  count(room: string): Promise<number>;
  /** Of one user, the longest connected first. */
  devices(userId: string): Promise<readonly PresentDevice[]>;
  /** @returns what ends it */
  connect(connection: Connection): () => void;
}

/** Single node: this process' connections are all there are. */
export class LocalPresence implements Presence {
  readonly #connections: LocalConnections;

  constructor(clock: Clock = systemClock) {
    this.#connections = new LocalConnections(clock);
  }

  attach(io: RealtimeIo): void {
    this.#connections.attach(io);
  }

  connect(connection: Connection): () => void {
    return this.#connections.connect(connection);
  }

  count(room: string): Promise<number> {
    return Promise.resolve(this.#connections.count(room));
  }

  devices(userId: string): Promise<readonly PresentDevice[]> {
    const parts = partsOf(this.#connections, userId).map((part) => ({ ...part, replica: undefined }));
    return Promise.resolve(toDevices(parts));
  }
}

/** A device on one replica. */
export interface DevicePart {
  /** Empty: the connections that name no device. */
  readonly id: string;
  readonly name: string | undefined;
  readonly connections: number;
  readonly since: number;
  /** Undefined where there is but one. */
  readonly replica: string | undefined;
}

export function partsOf(connections: LocalConnections, userId: string): Omit<DevicePart, 'replica'>[] {
  return connections.devicesOf(userId).flatMap((id) => {
    const device = connections.device(userId, id);
    return device === undefined ? [] : [{ id, ...device }];
  });
}

export function toDevices(parts: readonly DevicePart[]): PresentDevice[] {
  const byAge = parts.toSorted((a, b) => a.since - b.since);
  return Array.from(
    Map.groupBy(byAge, ({ id }) => id),
    ([id, group]) => {
      const name = group.findLast((part) => part.name !== undefined)?.name;
      const replicas = new Set(group.flatMap(({ replica }) => replica ?? [])).size;
      return {
        id: id === '' ? null : id,
        ...(name !== undefined && { name }),
        connections: group.reduce((sum, part) => sum + part.connections, 0),
        since: new Date(group[0]?.since ?? 0).toISOString(),
        ...(replicas > 0 && { replicas }),
      };
    },
  );
}
