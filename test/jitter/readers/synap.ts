import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { SynapClient, SynapClientOptions } from '../../../src/client/types.js';
import { builtDirectory } from '../../faults/app/kit.ts';
import type { Reader, ReaderDevice, Write } from './record.ts';

interface Client {
  readonly createSynapClient: (options: SynapClientOptions) => SynapClient;
}
/** As it was built, which is what a page gets; the mutation proof has one of its own. */
const { createSynapClient } = (await import(
  pathToFileURL(path.join(builtDirectory, 'client/index.js')).href
)) as Client;

/** Quicker than a page is, for it must come back often in a minute: the waits of 1 s and more are tested elsewhere. */
const reconnect = { attempts: 1_000, delayMs: 100, maxDelayMs: 500 };

/** Of this many devices, one goes whatever way it finds, as pages do; the others keep to sockets. */
const nthFindsItsWay = 3;

/** A page of a user: `synap/client` and nothing else. */
export function readWithSynap({ index, url, token, rooms }: ReaderDevice, write: Write): Reader {
  const client = createSynapClient({
    url,
    token,
    reconnect,
    transport: index % nthFindsItsWay === 0 ? 'auto' : 'socket',
    shared: false,
    device: { id: `jitter-${index}` },
  });
  const heads: Record<string, number> = {};
  const note = () => write({ what: 'state', state: client.state.get() });
  note();
  client.state.subscribe(note);
  client.on('notification', ({ id }) => write({ what: 'told', id }));
  client.on('error', ({ message }) => write({ what: 'error', message }));
  const follow = (room: string) => {
    const { ready } = client.subscribe(
      room,
      {
        onNotification({ epoch, seq, id }) {
          heads[room] = seq;
          write({ what: 'applied', room, epoch, seq, id });
        },
        onReset(reason) {
          if (reason !== 'first') write({ what: 'reset', room, reason });
        },
      },
      'beginning',
    );
    ready.catch((thrown: unknown) => write({ what: 'error', message: `${room}: ${String(thrown)}` }));
  };
  for (const { name, fromMs } of rooms) if (fromMs === 0) follow(name);
  return {
    begin() {
      for (const { name, fromMs } of rooms) if (fromMs > 0) setTimeout(() => follow(name), fromMs);
    },
    get isConnected() {
      return client.state.get() === 'connected';
    },
    heads: () => heads,
    close: () => client.close(),
  };
}
