import type { RealtimeSocket } from '../io.js';

interface WriteOptions {
  readonly volatile?: boolean;
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
  const write = client.writeToEngine.bind(client);
  let waiting: { readonly packet: string; readonly options: WriteOptions }[] = [];
  let length = 0;

  const flush = (): void => {
    const [first, ...others] = waiting;
    if (first === undefined) return;
    const batch = waiting;
    waiting = [];
    length = 0;
    if (others.length === 0) write([first.packet], first.options);
    else write([batchStart + batch.map(({ packet }) => packet.slice(start.length, -1)).join(',') + batchEnd], {});
  };

  client.writeToEngine = (packets, options) => {
    const packet = notificationOf(packets, options);
    if (packet === undefined) {
      flush();
      write(packets, options);
      return;
    }
    if (waiting.length === 0) setImmediate(flush);
    waiting.push({ packet, options });
    length += packet.length;
    if (waiting.length >= maxCount || length >= maxLength) flush();
  };
}

function notificationOf(packets: string | readonly unknown[], { volatile }: WriteOptions): string | undefined {
  if (volatile === true || typeof packets === 'string' || packets.length !== 1) return undefined;
  const [packet] = packets;
  return typeof packet === 'string' && packet.startsWith(start) ? packet : undefined;
}
