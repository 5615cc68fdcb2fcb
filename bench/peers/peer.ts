import { once } from 'node:events';

/** What a job system does in a process of its own: takes a backlog, waits for the word, and works it off. */
export interface Peer {
  /** Stores the backlog. Nothing of it is worked off yet. */
  prepare(url: string, count: number): Promise<void>;
  /** Works all of it off. @returns when each job ended, in ms since the epoch. */
  drain(): Promise<readonly number[]>;
}

export interface PeerMessage {
  readonly kind: 'prepared' | 'drained';
  readonly ends: readonly number[];
}

/** The main function of a peer's program: `program URL COUNT`, spoken to over Node's channel. */
export async function runPeer(peer: Peer): Promise<void> {
  const [url = '', count = ''] = process.argv.slice(2);
  await peer.prepare(url, Number(count));
  await say({ kind: 'prepared', ends: [] });
  await once(process, 'message');
  await say({ kind: 'drained', ends: await peer.drain() });
  process.exit(0);
}

function say(message: PeerMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(message, undefined, {}, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** Runs `act` for 0 … count-1, so many at a time. */
export async function forEach(count: number, atATime: number, act: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await act(next++);
  };
  await Promise.all(Array.from({ length: atATime }, lane));
}
