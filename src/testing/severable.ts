import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type pg from 'pg';

type Connect = (callback?: Callback) => Promise<pg.PoolClient> | undefined;
type Callback = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: (destroy?: boolean) => void,
) => void;

/**
 * Makes a pool that can end as a killed process' does: sockets closed in the middle of whatever they did, nothing sent any more,
 * and whoever waits for an answer waits for ever (a dead process catches no errors either).
 * @returns the function that does it.
 */
export function makeSeverable(pool: pg.Pool): () => void {
  const clients = new Set<pg.PoolClient>();
  let isSevered = false;
  pool.on('connect', (client) => {
    clients.add(client);
    if (isSevered) cut(client);
  });
  pool.on('remove', (client) => clients.delete(client));

  const connect = pool.connect.bind(pool) as Connect;
  const guarded: Connect = (callback) => {
    if (callback !== undefined) {
      if (!isSevered) void connect((...answer) => isSevered || callback(...answer));
      return undefined;
    }
    return new Promise((resolve, reject) => {
      if (isSevered) return;
      void connect((error, client) => {
        if (isSevered) return;
        if (client === undefined) reject(error ?? new Error('no client'));
        else resolve(client);
      });
    });
  };
  pool.connect = guarded as pg.Pool['connect'];

  return () => {
    isSevered = true;
    for (const client of clients) cut(client);
  };
}

/** The driver's own object for a connection, which its types leave out. */
interface Wire {
  readonly connection: EventEmitter & { readonly stream: Socket };
}

function cut(client: pg.PoolClient): void {
  const { connection } = client as unknown as Wire;
  // Without its listeners the driver rejects nothing.
  connection.removeAllListeners();
  connection.on('error', () => undefined);
  connection.stream.destroy();
}
