import { io } from 'socket.io-client';
import type { WireNotification } from '../../../src/realtime/contract.js';
import type { Reader, ReaderDevice, Write } from './record.ts';

/** What most pages have: socket.io-client as it is. It hears what is live, on Synap or on the control's servers. */
export function readPlainly({ userId, url, token }: ReaderDevice, write: Write): Reader {
  const socket = io(url, {
    auth: { token, room: `user_${userId}` },
    transports: ['websocket'],
    forceNew: true,
    reconnectionDelay: 100,
    reconnectionDelayMax: 500,
    timeout: 3_000,
  });
  let connection = 0;
  socket.on('connect', () => {
    connection += 1;
    write({ what: 'state', state: 'connected' });
  });
  socket.on('disconnect', () => write({ what: 'state', state: 'reconnecting' }));
  socket.on('notification', ({ room, epoch, seq, id }: WireNotification) =>
    write({ what: 'applied', room, epoch, seq, id, connection }),
  );
  return {
    begin: () => undefined,
    get isConnected() {
      return socket.connected;
    },
    heads: () => ({}),
    close: () => socket.close(),
  };
}
