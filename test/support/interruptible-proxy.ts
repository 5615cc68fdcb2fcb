import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** The way between two programs, which a test can cut and mend: bytes in, bytes out, nothing understood. */
export interface InterruptibleProxy {
  readonly url: string;
  /** Ends every connection and refuses new ones. */
  cut(): Promise<void>;
  mend(): Promise<void>;
  /** Nothing passes any more and nobody is told, as when a machine freezes; `thaw` lets all of it through. */
  freeze(): void;
  thaw(): void;
  /** The connections that are there lead nowhere from now on, new ones work: what a forgetful router does. */
  forget(): void;
  /** New connections go there from now on, as a load balancer sends them to the next replica; those that are there stay. */
  lead(target: string): void;
  close(): Promise<void>;
}

export async function startProxy(target: string): Promise<InterruptibleProxy> {
  let to = new URL(target);
  const sockets = new Set<Socket>();
  let isFrozen = false;
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  };
  let server: Server;
  const listen = async (port: number): Promise<number> => {
    server = createServer((near) => {
      const far = connect(Number(to.port), to.hostname);
      keep(near);
      keep(far);
      near.on('close', () => far.destroy());
      far.on('close', () => near.destroy());
      for (const [from, into] of [
        [near, far],
        [far, near],
      ] as const) {
        from.on('data', (bytes) => void into.write(bytes));
        if (isFrozen) from.pause();
      }
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  };
  const cut = async (): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    for (const socket of sockets) socket.destroy();
    await promise;
  };
  const port = await listen(0);
  const freeze = (): void => {
    isFrozen = true;
    for (const socket of sockets) socket.pause();
  };
  const forget = (): void => {
    for (const socket of sockets) {
      socket.pause();
      socket.removeAllListeners('close');
    }
  };
  const thaw = (): void => {
    isFrozen = false;
    for (const socket of sockets) socket.resume();
  };
  const lead = (next: string): void => void (to = new URL(next));
  const mend = async (): Promise<void> => void (await listen(port));
  return { url: `http://127.0.0.1:${port}`, cut, mend, freeze, thaw, forget, lead, close: cut };
}
