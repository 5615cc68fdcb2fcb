import type { RealtimeSocket } from '../io.js';

interface WriteOptions {
  readonly volatile?: boolean;
}
interface Waiting {
  readonly packet: string;
  readonly options: WriteOptions;
}
type Write = (packets: string | readonly unknown[], options: WriteOptions) => void;

/** Socket.IO 4.8's private way of encoded packets to a client: broadcasts through the adapter and packets of the socket itself. */
interface Client {
  writeToEngine: Write;
}

/** As socket.io-parser encodes `notification` in the main namespace. */
const start = '2["notification",';
const batchStart = '2["notifications",[';
const batchEnd = ']]';

/** A frame of more than this is sent, and the next begun: a client should not have to wait for all of a large burst. */
const maxLength = 128 * 1024;
const maxCount = 256;

/**
 * For a client that understands it: notifications that are written within one turn of the event loop leave as one frame. The
 * packets are JSON already, so they are joined as text. Anything else that is written goes after what waits, so the order stays
 * as it was; a single notification passes untouched, with the frame that the adapter has computed once for all sockets.
 *
 * Socket.IO's version is pinned, and a test burst goes through the real adapter.
 */
export function batchNotifications(socket: RealtimeSocket): void {
  const client = (socket as unknown as { readonly client: Client }).client;
  const batch = new Batch(client.writeToEngine, client);
  client.writeToEngine = (packets, options) => batch.write(packets, options);
}

/** What waits for one client. There is one for each socket: no closures, and no list while nothing waits. */
class Batch {
  readonly #write: Write;
  readonly #client: Client;
  #waiting: Waiting[] | undefined;
  #length = 0;

  constructor(write: Write, client: Client) {
    this.#write = write;
    this.#client = client;
  }

  write(packets: string | readonly unknown[], options: WriteOptions): void {
    const packet = notificationOf(packets, options);
    if (packet === undefined) {
      this.#flush();
      this.#write.call(this.#client, packets, options);
      return;
    }
    if (this.#waiting === undefined) {
      this.#waiting = [];
      setImmediate(flush, this);
    }
    this.#waiting.push({ packet, options });
    this.#length += packet.length;
    if (this.#waiting.length >= maxCount || this.#length >= maxLength) this.#flush();
  }

  #flush(): void {
    const waiting = this.#waiting;
    const [first] = waiting ?? [];
    if (waiting === undefined || first === undefined) return;
    this.#waiting = undefined;
    this.#length = 0;
    if (waiting.length === 1) this.#write.call(this.#client, [first.packet], first.options);
    else this.#write.call(this.#client, [joined(waiting)], {});
  }

  static readonly flush = (batch: Batch): void => batch.#flush();
}

const { flush } = Batch;

const joined = (waiting: readonly Waiting[]): string =>
  batchStart + waiting.map(({ packet }) => packet.slice(start.length, -1)).join(',') + batchEnd;

function notificationOf(packets: string | readonly unknown[], { volatile }: WriteOptions): string | undefined {
  if (volatile === true || typeof packets === 'string' || packets.length !== 1) return undefined;
  const [packet] = packets;
  return typeof packet === 'string' && packet.startsWith(start) ? packet : undefined;
}
