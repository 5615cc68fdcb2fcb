import { SynapError } from '../platform/errors.js';
import type { Tokens } from '../platform/tokens.js';
import { socketErrorCodes, type SocketErrorCode } from './contract.js';
import type { RealtimeSocket } from './io.js';

/** What a client reads: as `connect_error.data`, in a refused acknowledgement, in `closing`. */
export class SocketError extends Error {
  override readonly name = 'SocketError';
  /** Socket.IO sends `message` and `data` of an error that refuses a connection. */
  readonly data: { readonly code: SocketErrorCode; readonly message: string };

  constructor(code: SocketErrorCode, message: string) {
    super(message);
    this.data = { code, message };
  }
}

/** Whatever was thrown, as what the client may know of it. */
export function toSocketError(thrown: unknown): SocketError {
  if (thrown instanceof SocketError) return thrown;
  if (thrown instanceof SynapError) {
    const code = socketErrorCodes.find((known) => known === thrown.code);
    if (code !== undefined) return new SocketError(code, thrown.publicMessage ?? thrown.title);
  }
  return new SocketError('unavailable', 'Temporarily unavailable, try again shortly');
}

/** Socket.IO middleware: a connection without a valid token is refused with a stable code. */
export function authenticate(tokens: Tokens) {
  const admit = async (socket: RealtimeSocket): Promise<SocketError | undefined> => {
    const token = tokenOf(socket);
    if (token === undefined)
      return new SocketError('unauthenticated', 'A token is required: io(url, { auth: { token } })');
    try {
      socket.data.identity = await tokens.verify(token);
      return undefined;
    } catch (thrown) {
      return toSocketError(thrown);
    }
  };
  return async (socket: RealtimeSocket, next: (error?: Error) => void): Promise<void> => {
    next(await admit(socket));
  };
}

/** `auth: { token }` of the client, or a header, which only clients outside browsers can set. */
function tokenOf({ handshake }: RealtimeSocket): string | undefined {
  const given: unknown = handshake.auth['token'];
  if (typeof given === 'string' && given !== '') return given;
  return /^Bearer +(\S+)$/i.exec(handshake.headers.authorization ?? '')?.[1];
}
