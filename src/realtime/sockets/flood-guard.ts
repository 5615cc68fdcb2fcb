import type { Clock } from '../../platform/clock.js';
import { endConnection, endSocket, socketsByConnection } from './ending.js';
import type { RealtimeConnection, RealtimeIo } from '../io.js';
import { SocketError } from './socket-error.js';
import { TokenBucket, type BucketRule } from './token-bucket.js';

/** Who goes on at so many times the limit, refused all the while, is no client of ours. */
const factor = 4;

export interface FloodGuardDeps {
  readonly io: RealtimeIo;
  readonly messages: BucketRule;
  readonly clock: Clock;
}

/** Cuts a connection that sends far beyond the limit, before it has a socket too: packets are counted, whatever is in them. */
export function guardAgainstFlood(connection: RealtimeConnection, { io, messages, clock }: FloodGuardDeps): void {
  const { burst, perSecond } = messages;
  const bucket = new TokenBucket({ burst: burst * factor, perSecond: perSecond * factor }, clock);
  const onPacket = (): void => {
    if (bucket.take()) return;
    connection.off('packet', onPacket);
    const error = new SocketError('rate_limited', 'Far too many messages');
    const socket = socketsByConnection(io).get(connection);
    if (socket === undefined) endConnection(connection, clock);
    else endSocket(socket, error, clock);
  };
  connection.on('packet', onPacket);
}
