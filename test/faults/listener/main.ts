import { io } from 'socket.io-client';
import { SyncedLog } from '../log.ts';
import { RoomReader, type ReaderSocket } from './room-reader.ts';

export interface ListenerSpec {
  readonly urls: readonly string[];
  readonly tokens: Readonly<Record<string, string>>;
  readonly log: string;
}

// One connection for each user, each as a page would hold it; the supervisor says when to compare with the heads a last time.
const { urls, tokens, log: file } = JSON.parse(process.argv[2] ?? '') as ListenerSpec;
const log = new SyncedLog(file);
const readers = Object.entries(tokens).map(([userId, token], index) => {
  const url = urls[index % urls.length] ?? '';
  const socket: ReaderSocket = io(url, {
    auth: { token },
    transports: ['websocket'],
    forceNew: true,
    reconnectionDelay: 100,
    reconnectionDelayMax: 500,
    timeout: 3_000,
  });
  return new RoomReader(socket, `user_${userId}`, (entry) => void log.append({ userId, ...entry }));
});

/** Messages from the supervisor: `heads` asks how far each room has been read. */
process.on('message', (message) => {
  if (message !== 'heads') return;
  process.send?.(Object.fromEntries(readers.map((reader) => [reader.room.slice('user_'.length), reader.since.seq])));
});
process.once('disconnect', () => process.exit(0));

await Promise.all(readers.map((reader) => reader.joined));
process.send?.('joined');
