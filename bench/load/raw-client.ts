import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

export interface RawClientOptions {
  readonly port: number;
  /** 127.0.0.x: each address has its own 28,000 ports. */
  readonly localAddress: string;
  readonly auth: object;
  /** A Socket.IO event or acknowledgement: `2["name",…]` or `3<id>[…]`. The bytes are only lent. */
  readonly onMessage: (bytes: Buffer) => void;
  /** Only where it was not this client that closed. */
  readonly onLost: (why: string) => void;
}

const empty = Buffer.alloc(0);
const headEnd = Buffer.from('\r\n\r\n');
const text = 0x1;
const close = 0x8;
const [digit0, digit2, digit3, digit4] = [0x30, 0x32, 0x33, 0x34];

/**
 * A Socket.IO client over a bare TCP connection, with just enough of WebSocket and Engine.IO. Thousands of socket.io-client's would take
 * more of the machine than what is measured; this one takes a few microseconds a frame.
 */
export class RawClient {
  readonly #options: RawClientOptions;
  readonly #socket: Socket;
  readonly #ready = Promise.withResolvers<void>();
  #left: Buffer = empty;
  #isUpgraded = false;
  #isClosing = false;

  private constructor(options: RawClientOptions) {
    this.#options = options;
    const { port, localAddress } = options;
    this.#socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
    this.#socket.once('connect', () => this.#socket.write(upgrade(port)));
    this.#socket.on('data', (bytes) => this.#take(bytes));
    this.#socket.on('error', (error) => this.#lose(error.message));
    this.#socket.once('close', () => this.#lose('closed'));
  }

  /** Resolves when the server has accepted its token. */
  static async open(options: RawClientOptions): Promise<RawClient> {
    const client = new RawClient(options);
    await client.#ready.promise;
    return client;
  }

  /** @param packet of Socket.IO: `2["name",…]` */
  emit(packet: string): void {
    this.#send(`4${packet}`);
  }

  /** Without a farewell, as a lost line would. */
  cut(): void {
    this.#isClosing = true;
    this.#socket.destroy();
  }

  #send(message: string): void {
    const body = Buffer.from(message);
    const head = body.length < 126 ? Buffer.of(0x81, 0x80 | body.length) : longHead(body.length);
    // A key of zeros leaves the bytes as they are.
    this.#socket.write(Buffer.concat([head, Buffer.alloc(4), body]));
  }

  #lose(why: string): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#ready.reject(new Error(`a client was not let in: ${why}`));
    this.#socket.destroy();
    this.#options.onLost(why);
  }

  #take(bytes: Buffer): void {
    let all = this.#left.length === 0 ? bytes : Buffer.concat([this.#left, bytes]);
    if (!this.#isUpgraded) {
      const end = all.indexOf(headEnd);
      if (end === -1) return void (this.#left = all);
      this.#isUpgraded = all.subarray(0, 12).toString() === 'HTTP/1.1 101';
      if (!this.#isUpgraded) return this.#lose(all.toString('utf8', 0, 200));
      all = all.subarray(end + headEnd.length);
    }
    let at = 0;
    for (let next = frameEnd(all, at); next !== undefined; next = frameEnd(all, at)) {
      this.#onFrame((all[at] ?? 0) & 0x0f, all.subarray(next.start, next.end));
      at = next.end;
    }
    this.#left = at === all.length ? empty : at === 0 ? all : Buffer.from(all.subarray(at));
  }

  #onFrame(opcode: number, payload: Buffer): void {
    if (opcode === close) return this.#lose('closed by the server');
    if (opcode !== text) return;
    const kind = payload[0];
    if (kind === digit4) this.#onPacket(payload.subarray(1));
    else if (kind === digit2) this.#send('3');
    else if (kind === digit0) this.#send(`40${JSON.stringify(this.#options.auth)}`);
  }

  #onPacket(packet: Buffer): void {
    const kind = packet[0];
    if (kind === digit2 || kind === digit3) this.#options.onMessage(packet);
    else if (kind === digit0) this.#ready.resolve();
    else this.#lose(packet.toString());
  }
}

const upgrade = (port: number): string =>
  `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
  `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Version: 13\r\n\r\n`;

function longHead(length: number): Buffer {
  const head = Buffer.of(0x81, 0x80 | 126, 0, 0);
  head.writeUInt16BE(length, 2);
  return head;
}

/** Where the payload of the frame at `at` lies; undefined while it is not all there. */
function frameEnd(bytes: Buffer, at: number): { readonly start: number; readonly end: number } | undefined {
  const short = (bytes[at + 1] ?? 0) & 0x7f;
  const start = at + (short === 127 ? 10 : short === 126 ? 4 : 2);
  if (start > bytes.length) return undefined;
  const length =
    short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short === 126 ? bytes.readUInt16BE(at + 2) : short;
  return start + length > bytes.length ? undefined : { start, end: start + length };
}
