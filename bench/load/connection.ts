import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const endOfHead = Buffer.from('\r\n\r\n');
const lengthName = Buffer.from('\r\nContent-Length: ');

/**
 * One connection that is kept alive, with one request in flight. On the bare socket, because a client library takes as much of the
 * machine's two cores as the server that is measured. Answers must carry their length; others fail the run.
 */
export class KeptConnection {
  readonly #origin: URL;
  #socket: Socket;
  #parts: Buffer[] = [];
  #waiting: PromiseWithResolvers<number> | undefined;
  /** The request under way, while nothing of its answer has come. */
  #unanswered: string | undefined;
  #isOnNew = false;
  #isClosed = false;

  private constructor(origin: URL, socket: Socket) {
    this.#origin = origin;
    this.#socket = socket;
    this.#listen(socket);
  }

  static async open(origin: URL): Promise<KeptConnection> {
    return new KeptConnection(origin, await openSocket(origin));
  }

  /** Sends a whole request as it is. @returns the status of the answer, when all of it has come. */
  request(text: string): Promise<number> {
    this.#waiting = Promise.withResolvers();
    this.#unanswered = text;
    this.#isOnNew = false;
    if (this.#socket.destroyed) this.#reopen();
    else this.#socket.write(text, 'latin1');
    return this.#waiting.promise;
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  /** A server ends connections that were idle for some seconds, maybe while a request is on its way: it is sent on a new one, as every client does. */
  #listen(socket: Socket): void {
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (this.#isClosed || this.#waiting === undefined) return;
      if (this.#unanswered === undefined || this.#isOnNew)
        this.#waiting.reject(new Error('the server closed the connection'));
      else this.#reopen();
    });
  }

  #reopen(): void {
    this.#isOnNew = true;
    openSocket(this.#origin).then(
      (socket) => {
        this.#socket = socket;
        this.#listen(socket);
        socket.write(this.#unanswered ?? '', 'latin1');
      },
      (thrown: unknown) => this.#waiting?.reject(thrown instanceof Error ? thrown : new Error(String(thrown))),
    );
  }

  #onData(chunk: Buffer): void {
    this.#parts.push(chunk);
    this.#unanswered = undefined;
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
    const answered = this.#waiting;
    this.#waiting = undefined;
    answered?.resolve(Number(whole.toString('latin1', 9, 12)));
  }
}

async function openSocket({ hostname, port }: URL): Promise<Socket> {
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  return socket;
}
