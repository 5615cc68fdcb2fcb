import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const endOfHead = Buffer.from('\r\n\r\n');
const lengthName = Buffer.from('\r\nContent-Length: ');

/**
 * One connection that is kept alive, with one request in flight. On the bare socket, because a client library takes as much of the
 * machine's two cores as the server that is measured. Answers must carry their length; others fail the run.
 */
export class KeptConnection {
  readonly #socket: Socket;
  #parts: Buffer[] = [];
  #waiting: PromiseWithResolvers<number> | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', (error) => this.#waiting?.reject(error));
    socket.on('close', () => this.#waiting?.reject(new Error('the server closed the connection')));
  }

  static async open({ hostname, port }: URL): Promise<KeptConnection> {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, 'connect');
    return new KeptConnection(socket);
  }

  /** Sends a whole request as it is. @returns the status of the answer, when all of it has come. */
  request(text: string): Promise<number> {
    this.#waiting = Promise.withResolvers();
    this.#socket.write(text, 'latin1');
    return this.#waiting.promise;
  }

  close(): void {
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    this.#parts.push(chunk);
    const whole = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts);
    const head = whole.indexOf(endOfHead);
    if (head < 0) return;
    const length = whole.indexOf(lengthName);
    if (length < 0 || length > head) {
      this.#waiting?.reject(new Error('an answer without its length'));
      return;
    }
    const bytes = Number.parseInt(
      whole.toString('latin1', length + lengthName.length, length + lengthName.length + 12),
      10,
    );
    if (whole.length < head + endOfHead.length + bytes) return;
    this.#parts = [];
    this.#waiting?.resolve(Number(whole.toString('latin1', 9, 12)));
  }
}
