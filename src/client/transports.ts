import type { OpenSession } from './session.js';
import type { SynapClientOptions } from './types.js';

/** So many failures in a row, and a stream is tried in place of a socket; one where streams have been the way before. */
const socketTries = 3;
const socketTriesAgain = 2;

/** Which way to the server the next attempt takes. */
export interface Transports {
  /** @param failures of attempts, in a row */
  open(failures: number): OpenSession;
}

export function chooseTransports(
  which: SynapClientOptions['transport'],
  socket: OpenSession,
  stream: OpenSession,
): Transports {
  if (which === 'socket') return { open: () => socket };
  if (which === 'stream') return { open: () => stream };
  return preferSockets(socket, stream);
}

/** Sockets; where they do not come through, every other attempt is a stream. */
function preferSockets(socket: OpenSession, stream: OpenSession): Transports {
  let tries = socketTries;
  const noting =
    (open: OpenSession, triesNext: number): OpenSession =>
    (token, listener) =>
      open(token, {
        ...listener,
        onOpen() {
          tries = triesNext;
          listener.onOpen();
        },
      });
  const ways = { socket: noting(socket, socketTries), stream: noting(stream, socketTriesAgain) };
  return { open: (failures) => (failures >= tries && (failures - tries) % 2 === 0 ? ways.stream : ways.socket) };
}
