import { io } from 'socket.io-client';
import { SyncedLog } from '../log.ts';
import { RoomReader, type ReaderSocket } from './room-reader.ts';

export interface ListenerSpec {
  readonly urls: readonly string[];
  readonly tokens: Readonly<Record<string, string>>;
  /** Requests whose rooms are followed, and whose they are. */
  readonly requests: Readonly<Record<string, string>>;
  readonly log: string;
}

// One connection for each user, each as a page would hold it, with the rooms of some of their requests; the supervisor says when to compare with the heads a last time.
const { urls, tokens, requests, log: file } = JSON.parse(process.argv[2] ?? '') as ListenerSpec;
const log = new SyncedLog(file);
const readers = Object.entries(tokens).flatMap(([userId, token], index) => {
  const url = urls[index % urls.length] ?? '';
  const socket: ReaderSocket = io(url, {
    auth: { token },
    transports: ['websocket'],
    forceNew: true,
    reconnectionDelay: 100,
    reconnectionDelayMax: 500,
    timeout: 3_000,
  });
  const own = Object.entries(requests).flatMap(([ref, owner]) => (owner === userId ? [`request_${ref}`] : []));
  return [`user_${userId}`, ...own].map(
    (room) => new RoomReader(socket, room, (entry) => void log.append({ room, ...entry })),
  );
});

/** Messages from the supervisor: `heads` asks how far each room has been read. */
process.on('message', (message) => {
  if (message !== 'heads') return;
  process.send?.(Object.fromEntries(readers.map((reader) => [reader.room, reader.since.seq])));
});
process.once('disconnect', () => process.exit(0));

await Promise.all(readers.map((reader) => reader.joined));
process.send?.('joined');
