import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** How bytes pass: `swallow` takes them in silence, as a network does that has lost the other end. */
export type Passage = 'pass' | 'swallow' | 'refuse';

interface Link {
  readonly client: Socket;
  readonly upstream: Socket;
  isSwallowed: boolean;
}

/** A TCP proxy, between Synap and what it needs or before Synap, whose other end can move, slow down, fall silent or hang up. */
export class Proxy {
  readonly #server: Server;
  readonly #links = new Set<Link>();
  #passage: Passage = 'pass';
  #target: () => number;
  #delayMs = 0;

  private constructor(target: () => number) {
    this.#target = target;
    this.#server = createServer({ noDelay: true }, (client) => this.#join(client));
  }

  /** @param target a port, or what says it anew for each connection, as a balancer does */
  static async listen(target: number | (() => number)): Promise<Proxy> {
    const proxy = new Proxy(typeof target === 'number' ? () => target : target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#links.size;
  }

  /** Where new connections go. */
  retarget(port: number): void {
    this.#target = () => port;
  }

  /** For all that passes from now on, in each direction. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  /** Connections that were swallowed once have lost bytes: they stay silent until their owner gives them up. */
  let(passage: Passage): void {
    this.#passage = passage;
    if (passage === 'swallow') for (const link of this.#links) link.isSwallowed = true;
    if (passage === 'refuse') this.reset();
  }

  /** Hangs up on everybody. */
  reset(): void {
    for (const { client, upstream } of this.#links) {
      client.resetAndDestroy();
      upstream.destroy();
    }
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.reset();
    await closed;
  }

  #join(client: Socket): void {
    if (this.#passage === 'refuse') {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ port: this.#target(), host: '127.0.0.1', noDelay: true });
    const link: Link = { client, upstream, isSwallowed: this.#passage === 'swallow' };
    this.#links.add(link);
    this.#carry(link, client, upstream);
    this.#carry(link, upstream, client);
  }

  #carry(link: Link, from: Socket, to: Socket): void {
    from.on('data', (chunk) => {
      if (link.isSwallowed) return;
      if (this.#delayMs === 0) to.write(chunk);
      else setTimeout(() => to.writable && to.write(chunk), this.#delayMs);
    });
    from.on('error', () => undefined);
    from.once('close', () => {
      // Nobody hears of an end on a line that has fallen silent, until it is reset.
      if (link.isSwallowed && from === link.upstream) return;
      this.#links.delete(link);
      to.destroy();
    });
  }
}
