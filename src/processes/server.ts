import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { SynapError, toError } from '../platform/errors.js';

export interface ListeningServer {
  readonly server: Server;
  /** The port it listens on; differs from the asked one only where that was 0. */
  readonly port: number;
  /** What answers one path, before what answers all others. */
  serveAt(path: string, listener: RequestListener): void;
  /** What answers from now on, also those that asked before. */
  serve(listener: RequestListener): void;
  /** Takes no more connections and ends those there are with their answers. */
  close(): Promise<void>;
}

/**
 * Listens at once, so that a port in use is told before anything else is started. Who asks before there is an answer waits for
 * it: a proxy that may send a request elsewhere only while no connection is made would hand a 503 on to the client.
 * @throws SynapError `start_failed`
 */
export async function listen(port: number, host: string): Promise<ListeningServer> {
  const early: (() => void)[] = [];
  let listener: RequestListener = (req, res) => void early.push(() => (placeOf(req) ?? listener)(req, res));
  const places = new Map<string, RequestListener>();
  const placeOf = (req: IncomingMessage) => places.get(req.url?.split('?', 1)[0] ?? '');
  let isClosing = false;
  const server = createServer((req, res) => {
    // Or closing would wait for a connection that is busy now and kept alive after.
    if (isClosing) res.setHeader('Connection', 'close');
    res.once('close', () => {
      if (isClosing) server.closeIdleConnections();
    });
    (placeOf(req) ?? listener)(req, res);
  });
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (thrown) {
    throw explain(thrown, port, host);
  }
  const address = server.address();
  return {
    server,
    port: typeof address === 'object' && address !== null ? address.port : port,
    serveAt: (path, own) => void places.set(path, own),
    serve(next) {
      listener = next;
      // A turn later, when whatever else is started in this one has its path too.
      for (const answer of early.splice(0)) setImmediate(answer);
    },
    async close() {
      isClosing = true;
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      await closed;
    },
  };
}

function explain(thrown: unknown, port: number, host: string): SynapError {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  const message =
    code === 'EADDRINUSE'
      ? `port ${port} on ${host} is in use; stop what uses it, or choose another with PORT`
      : code === 'EACCES'
        ? `port ${port} needs more rights than this user has; choose one above 1023 with PORT`
        : `cannot listen on ${host}:${port}: ${toError(thrown).message}`;
  return new SynapError('start_failed', message, { publicMessage: message, cause: thrown });
}
