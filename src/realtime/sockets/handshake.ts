import { toError } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import type { Metrics } from '../../platform/metrics.js';
import type { Tokens } from '../../platform/tokens.js';
import type { ConnectionCounts } from './connection-counts.js';
import { handshakeAuth } from '../contract.js';
import type { RealtimeSocket } from '../io.js';
import { letInWithOneWrite } from './one-write.js';
import { parse, SocketError, toSocketError } from './socket-error.js';

export interface AdmissionDeps {
  readonly tokens: Tokens;
  /** Of each user, over all of their pages and devices. */
  readonly users: ConnectionCounts;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** Socket.IO middleware: a connection without a valid token, or beyond its user's share, is refused with a stable code. */
export function authenticate(deps: AdmissionDeps) {
  return async (socket: RealtimeSocket, next: (error?: Error) => void): Promise<void> => {
    try {
      await admit(socket, deps);
    } catch (thrown) {
      const error = toSocketError(thrown);
      if (error.data.code === 'unavailable')
        deps.logger.warn({ err: toError(thrown) }, 'a connection could not be let in');
      deps.metrics.websocketConnectionsRefused.inc({ reason: error.data.code });
      next(error);
      return;
    }
    letInWithOneWrite(socket.conn, next);
  };
}

/** All but the token, which may come in a header too. */
const saidOfItself = handshakeAuth.omit({ token: true });

async function admit(socket: RealtimeSocket, { tokens, users }: AdmissionDeps): Promise<void> {
  const token = tokenOf(socket);
  if (token === undefined)
    throw new SocketError('unauthenticated', 'A token is required: io(url, { auth: { token } })');
  if (token.length > maxTokenLength) throw new SocketError('token_invalid', 'The token is too long');
  const { device, batch } = parse(saidOfItself, socket.handshake.auth);
  const identity = await tokens.verify(token);
  takePlace(socket, identity.userId, users);
  socket.data = { identity, device, batch: batch ?? false, closing: undefined };
}

/** Given back when the socket ends, also one whose connection broke off before it was told that it is let in. */
function takePlace(socket: RealtimeSocket, userId: string, users: ConnectionCounts): void {
  if (socket.conn.readyState !== 'open') throw new SocketError('unavailable', 'The connection has ended');
  const release = users.take(userId);
  if (release === undefined)
    throw new SocketError('too_many_connections', 'This user has too many connections: close some');
  // `once` would wrap each of them, for every connection there is; neither happens twice, and it would do no harm.
  socket.on('disconnect', release);
  socket.conn.on('close', release);
}

const maxTokenLength = 8_192;

/** `auth: { token }` of the client, or a header, which only clients outside browsers can set. */
function tokenOf({ handshake }: RealtimeSocket): string | undefined {
  const given: unknown = handshake.auth['token'];
  if (typeof given === 'string' && given !== '') return given;
  return /^Bearer +(\S+)$/i.exec(handshake.headers.authorization ?? '')?.[1];
}
