import type { Logger } from '../../platform/logger.js';
import type { Metrics } from '../../platform/metrics.js';
import { cutConnection, websocketOf } from './ending.js';
import type { RealtimeConnection, RealtimeIo, RealtimeSocket } from '../io.js';
import { pageBytes } from '../log/postgres-log.js';

export interface SlowConsumersDeps {
  readonly io: RealtimeIo;
  readonly bufferBytes: number;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** So many times the bound, or a page, which has to come through: more than any replay puts there. */
const hardFactor = 8;

/**
 * Cuts who does not read: over the bound at two checks running, without having become less in between. Whose buffer shrinks is
 * reading (a long replay over a thin line), and cutting it would make it begin the same replay again, for ever; but nobody's may
 * be many times the bound, however it reads. Who is cut comes back and gets from the log what it did not read.
 *
 * A check costs two field reads for a socket that keeps up, about 1 ms for 10,000 of them; packets are looked at only where some wait.
 */
export class SlowConsumers {
  readonly #deps: SlowConsumersDeps;
  /** What waited at the last check, of those that were over the bound then. */
  #over = new Map<RealtimeSocket, number>();

  constructor(deps: SlowConsumersDeps) {
    this.#deps = deps;
  }

  check(): void {
    const { io, bufferBytes, metrics } = this.#deps;
    const hardBound = hardFactor * Math.max(bufferBytes, pageBytes);
    const over = new Map<RealtimeSocket, number>();
    let total = 0;
    for (const socket of io.sockets.sockets.values()) {
      const bytes = bufferedBytes(socket.conn);
      total += bytes;
      if (bytes <= bufferBytes) continue;
      const before = this.#over.get(socket);
      const isStanding = before !== undefined && bytes >= before;
      if (isStanding || bytes > hardBound) this.#cut(socket, bytes);
      else over.set(socket, bytes);
    }
    this.#over = over;
    metrics.websocketBufferedBytes.set(total);
  }

  /** It is not told: what it would be told with waits behind all that it does not read. */
  #cut(socket: RealtimeSocket, bytes: number): void {
    const { metrics, logger } = this.#deps;
    const { data } = socket;
    data.closing ??= 'slow_consumer';
    metrics.websocketSlowConsumers.inc();
    logger.info(
      { userId: data.identity.userId, device: data.device?.id, bytes },
      'a socket that does not read was cut',
    );
    cutConnection(socket.conn);
  }
}

interface WaitingPacket {
  readonly data?: string;
  readonly options?: { readonly wsPreEncodedFrame?: readonly Buffer[] };
}

/** Written for the client and not yet with the kernel: Engine.IO's queue, and what the WebSocket has taken of it. */
export function bufferedBytes(connection: RealtimeConnection): number {
  const { writeBuffer } = connection as unknown as { readonly writeBuffer: readonly WaitingPacket[] };
  let bytes = websocketOf(connection)?.bufferedAmount ?? 0;
  for (const packet of writeBuffer) bytes += sizeOf(packet);
  return bytes;
}

function sizeOf({ data, options }: WaitingPacket): number {
  const frame = options?.wsPreEncodedFrame;
  return frame === undefined ? (data?.length ?? 0) : frame.reduce((sum, part) => sum + part.length, 0);
}
