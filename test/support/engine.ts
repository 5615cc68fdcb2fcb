import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { randomBytes } from 'node:crypto';
import { within } from './signals.js';

/** Engine.IO spoken by hand: for what no well-behaved client does. */

const query = (transport: string, sid?: string) =>
  `/socket.io/?EIO=4&transport=${transport}${sid === undefined ? '' : `&sid=${sid}`}`;

/** The answer to a handshake: polling's own, or the status of a refused (101: accepted) upgrade. */
export async function knock(
  url: string,
  transport: 'polling' | 'websocket',
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly text: string }> {
  const upgrade = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
  };
  const request = get(`${url}${query(transport)}`, {
    agent: false,
    headers: { ...headers, ...(transport === 'websocket' && upgrade) },
  });
  const response = await within(
    Promise.race([once(request, 'response'), once(request, 'upgrade')]) as Promise<[IncomingMessage, Socket?]>,
    'the answer to a handshake',
  );
  const [message, socket] = response;
  if (message.statusCode === 101) {
    socket?.destroy();
    return { status: 101, text: '' };
  }
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return { status: message.statusCode ?? 0, text: Buffer.concat(chunks).toString() };
}

/** A handshake of a WebSocket, written as it is, on a TCP connection that is the caller's. Nothing of it is read but the answer's first packet. */
export async function upgradeByHand(url: string, headers: Readonly<Record<string, string>>, path = query('websocket')) {
  const { hostname, port, host } = new URL(url);
  const tcp = connect({ host: hostname, port: Number(port) });
  tcp.on('error', () => undefined);
  const lines = Object.entries({
    ...{ Host: host, Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' },
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  tcp.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
  await within(once(tcp, 'connect'), 'a TCP connection');
  return tcp;
}

/** So many handshakes by polling in one packet, answered. */
export async function knockAtOnce(url: string, count: number): Promise<void> {
  const { hostname, port } = new URL(url);
  const tcp = connect({ host: hostname, port: Number(port) });
  let answers = '';
  const answered = new Promise<void>((resolve) => {
    tcp.on('data', (chunk) => {
      answers += chunk.toString();
      if (answers.split('HTTP/1.1 ').length > count) resolve();
    });
  });
  tcp.write(`GET ${query('polling')} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`.repeat(count));
  await within(answered, `${count} answers`);
  tcp.destroy();
}

/** A client by polling that does as it is told, one request after the other. */
export class PollingClient {
  readonly #url: string;
  #sid = '';

  constructor(url: string) {
    this.#url = url;
  }

  /** The handshake, without a token yet. */
  async open(): Promise<void> {
    this.#sid = (JSON.parse((await this.poll()).slice(1)) as { sid: string }).sid;
  }

  async connect(token: string): Promise<void> {
    await this.open();
    await this.post(`40${JSON.stringify({ token })}`);
    for (let heard = ''; !heard.includes('"ready"'); heard = await this.poll());
  }

  /** What waits, packets apart by U+001E; longer than nothing only when there is something. */
  async poll(): Promise<string> {
    const response = await fetch(`${this.#url}${query('polling', this.#sid === '' ? undefined : this.#sid)}`);
    return response.text();
  }

  async post(body: string): Promise<number> {
    const response = await fetch(`${this.#url}${query('polling', this.#sid)}`, { method: 'POST', body });
    await response.text();
    return response.status;
  }
}

/** A WebSocket on a TCP connection of which the test decides whether it is read. */
export class RawWebSocket {
  readonly tcp: Socket;

  private constructor(tcp: Socket) {
    this.tcp = tcp;
  }

  /** Connected with the token; nothing that comes after is read until `tcp.resume()`. */
  static async connect(url: string, auth: object): Promise<RawWebSocket> {
    const { hostname, port } = new URL(url);
    const tcp = connect({ host: hostname, port: Number(port) });
    tcp.on('error', () => undefined);
    const key = randomBytes(16).toString('base64');
    const lines = [`GET ${query('websocket')} HTTP/1.1`, `Host: ${hostname}:${port}`, 'Connection: Upgrade'];
    tcp.write(
      [...lines, 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${key}`, '\r\n'].join('\r\n'),
    );
    const client = new RawWebSocket(tcp);
    await client.#until('0{"sid"');
    client.send(`40${JSON.stringify(auth)}`);
    await client.#until('42["ready"');
    return client;
  }

  /** One text frame, masked as clients must. */
  send(text: string): void {
    const payload = Buffer.from(text);
    const header =
      payload.length < 126
        ? Buffer.of(0x81, 0x80 | payload.length)
        : Buffer.of(0x81, 0x80 | 126, payload.length >> 8, payload.length & 0xff);
    // A mask of zeros leaves the payload as it is.
    this.tcp.write(Buffer.concat([header, Buffer.alloc(4), payload]));
  }

  async #until(text: string): Promise<void> {
    let heard = '';
    const found = new Promise<void>((resolve, reject) => {
      const onData = (chunk: Buffer): void => {
        heard += chunk.toString();
        if (!heard.includes(text)) return;
        this.tcp.pause();
        this.tcp.off('data', onData);
        resolve();
      };
      this.tcp.on('data', onData);
      this.tcp.resume();
      this.tcp.once('close', () => reject(new Error(`closed before ${text}, after ${heard}`)));
    });
    await within(found, text);
  }
}
