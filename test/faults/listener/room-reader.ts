import type { Socket } from 'socket.io-client';
import type {
  ClientToServerEvents,
  RoomHead,
  Pong,
  Refused,
  ServerToClientEvents,
  Subscribed,
  WireNotification,
} from '../../../src/realtime/contract.js';

export type ReaderSocket = Socket<ServerToClientEvents, ClientToServerEvents>;

/** What a reader writes down. */
export type Heard =
  | {
      readonly what: 'applied';
      readonly epoch: string;
      readonly seq: number;
      readonly id: string;
      readonly type: string;
      readonly eventId: string;
      readonly at: number;
    }
  /** What the room had was not to be had any more. */
  | { readonly what: 'reset' }
  /** A frame that this connection had already, or one that came too early. */
  | { readonly what: 'repeated' | 'skipped'; readonly seq: number };

const pingEveryMs = 30_000;
const askWithinMs = 5_000;

/** Reads one room without a gap or a repeat, as docs/web-client.md tells a page to. */
export class RoomReader {
  readonly room: string;
  readonly joined: Promise<void>;
  since: RoomHead = { epoch: null, seq: 0 };
  readonly #socket: ReaderSocket;
  readonly #write: (entry: Heard) => void;
  readonly #joinedOnce = Promise.withResolvers<void>();
  #waiting: WireNotification[] | undefined = [];
  #joining = false;

  constructor(socket: ReaderSocket, room: string, write: (entry: Heard) => void) {
    this.room = room;
    this.#socket = socket;
    this.#write = write;
    this.joined = this.#joinedOnce.promise;
    socket.on('notification', (notification) => notification.room === room && this.#take(notification));
    socket.on('disconnect', () => (this.#waiting ??= []));
    socket.on('connect', () => void this.#join());
    socket.on('check', () => void this.#compare());
    setInterval(() => void this.#compare(), pingEveryMs);
  }

  #take(notification: WireNotification): void {
    if (this.#waiting !== undefined) {
      this.#waiting.push(notification);
      return;
    }
    const { epoch, seq } = notification;
    const isSameEpoch = (this.since.epoch ?? epoch) === epoch;
    if (isSameEpoch && seq <= this.since.seq) return this.#write({ what: 'repeated', seq });
    if (isSameEpoch && seq === this.since.seq + 1) return this.#apply(notification);
    this.#write({ what: 'skipped', seq });
    void this.#join();
  }

  #apply({ epoch, seq, id, type, data }: WireNotification): void {
    this.since = { epoch, seq };
    const { eventId } = data as { eventId: string };
    this.#write({ what: 'applied', epoch, seq, id, type, eventId, at: Date.now() });
  }

  /** A connection that is cut meanwhile joins anew when it is back. */
  async #join(): Promise<void> {
    this.#waiting ??= [];
    if (this.#joining) return;
    this.#joining = true;
    try {
      const answer: Subscribed | Refused = await this.#ask('subscribe', { room: this.room, since: this.since });
      if (!answer.ok) throw new Error(answer.code);
      if (!answer.recovered) this.#write({ what: 'reset' });
      for (const notification of answer.notifications) this.#apply(notification);
      this.since = { epoch: answer.epoch, seq: answer.seq };
      this.#release();
      this.#joinedOnce.resolve();
    } catch {
      setTimeout(() => this.#socket.connected && void this.#join(), 500);
    } finally {
      this.#joining = false;
    }
  }

  /** What came live while the answer was awaited is in the answer too, or follows it. */
  #release(): void {
    const held = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const notification of held) {
      const isKnown = notification.epoch === this.since.epoch && notification.seq <= this.since.seq;
      if (!isKnown) this.#take(notification);
    }
  }

  /** The tail of a room can only be missed silently: so its head is asked for. */
  async #compare(): Promise<void> {
    try {
      const { heads }: Pong = await this.#ask('ping');
      const head = heads[this.room];
      if (head !== undefined && head.seq > this.since.seq) void this.#join();
    } catch {
      // Asked again with the next ping, or the next connection.
    }
  }

  /** The types of the answers are lost on the way through a timeout. */
  #ask<Answer>(event: string, ...message: readonly unknown[]): Promise<Answer> {
    const untyped: Socket = this.#socket;
    return untyped.timeout(askWithinMs).emitWithAck(event, ...message) as Promise<Answer>;
  }
}
