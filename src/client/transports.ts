import type { OpenSession } from './session.js';

/** After so many failures in a row a stream is tried in place of a socket. */
const socketTries = 3;

/** Which way to the server the next attempt takes. */
export interface Transports {
  /** @param failures of attempts, in a row */
  open(failures: number): OpenSession;
}

export const only = (open: OpenSession): Transports => ({ open: () => open });

/** Sockets; where they do not come through, every other attempt is a stream. */
export const preferSockets = (socket: OpenSession, stream: OpenSession): Transports => ({
  open: (failures) => (failures >= socketTries && failures % 2 === 1 ? stream : socket),
});
