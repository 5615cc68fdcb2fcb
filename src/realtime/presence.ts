import type { RealtimeIo } from './io.js';

/** How many sockets a room has, on all replicas together. It is what the replicas last said, never a question to them. */
export interface Presence {
  count(room: string): Promise<number>;
}

/** Single node: this process' sockets are all there are. */
export class LocalPresence implements Presence {
  #io: RealtimeIo | undefined;

  attach(io: RealtimeIo): void {
    this.#io = io;
  }

  count(room: string): Promise<number> {
    return Promise.resolve(localCount(this.#io, room));
  }
}

export function localCount(io: RealtimeIo | undefined, room: string): number {
  return io?.sockets.adapter.rooms.get(room)?.size ?? 0;
}
