import { io, type Socket } from 'socket.io-client';
import { RoomLog, type Outcome } from '../client/room-log.js';
import type {
  ClientToServerEvents,
  Refused,
  RoomHead,
  ServerToClientEvents,
  Subscribed,
  WireDelta,
  WireNotification,
  WireProgress,
} from '../realtime/contract.js';
import { CliError } from './cli-error.js';
import { unreachable } from './http.js';

export interface LiveOptions {
  readonly url: string;
  readonly token: string;
  onNotification(notification: WireNotification): void;
  onProgress?(progress: WireProgress): void;
  onDelta?(delta: WireDelta): void;
  /** The connection was lost, or is back: what was missed is asked for. */
  onConnection?(isConnected: boolean): void;
  /** The server will not have this client any more. */
  onEnd?(error: CliError): void;
}

const ackTimeoutMs = 10_000;
const beginning: RoomHead = { epoch: null, seq: 0 };

/** A connection that outlives its interruptions; each subscribed room arrives in order, once, without gaps. */
export class Live {
  readonly #options: LiveOptions;
  readonly #socket: Socket<ServerToClientEvents, ClientToServerEvents>;
  readonly #rooms = new Map<string, RoomLog>();

  private constructor(options: LiveOptions) {
    this.#options = options;
    this.#socket = io(options.url, { auth: { token: options.token }, forceNew: true, reconnectionDelayMax: 10_000 });
  }

  /** @throws CliError where the first connection fails */
  static async connect(options: LiveOptions): Promise<Live> {
    const live = new Live(options);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    live.#socket.once('connect', resolve);
    live.#socket.once('connect_error', (error) => reject(connectError(error, options.url)));
    try {
      await promise;
    } catch (thrown) {
      live.close();
      throw thrown;
    }
    live.#listen();
    return live;
  }

  /** `from` the beginning for a room that is new, otherwise from now. @throws CliError */
  async subscribe(room: string, from: 'beginning' | 'now'): Promise<void> {
    this.#rooms.set(room, new RoomLog());
    const answer = await this.#ask(room, from === 'beginning' ? beginning : undefined);
    if (!answer.ok) {
      throw new CliError(
        answer.code,
        `The room ${room} cannot be heard: ${answer.message}.`,
        'A room is user_<your user id> or request_<request id>.',
      );
    }
  }

  close(): void {
    this.#socket.disconnect();
  }

  #listen(): void {
    const { onNotification: _, onProgress, onDelta, onConnection, onEnd } = this.#options;
    this.#socket.on('notification', (notification) => {
      const log = this.#rooms.get(notification.room);
      if (log !== undefined) this.#apply(log.live(notification));
    });
    if (onProgress !== undefined) this.#socket.on('progress', (progress) => onProgress(progress));
    if (onDelta !== undefined) this.#socket.on('delta', (delta) => onDelta(delta));
    this.#socket.on('disconnect', () => {
      for (const log of this.#rooms.values()) log.joining();
      if (this.#socket.active) onConnection?.(false);
    });
    this.#socket.on('connect', () => {
      onConnection?.(true);
      this.#catchUp();
    });
    this.#socket.on('check', () => this.#catchUp());
    this.#socket.on('connect_error', (error) => {
      if (this.#socket.active) return;
      onEnd?.(connectError(error, this.#options.url));
    });
  }

  #catchUp(): void {
    for (const [room, log] of this.#rooms) void this.#ask(room, log.head ?? beginning).catch(() => undefined);
  }

  #apply({ apply, resync }: Outcome): void {
    for (const notification of apply) this.#options.onNotification(notification);
    if (resync) this.#catchUp();
  }

  async #ask(room: string, since: RoomHead | undefined): Promise<Subscribed | Refused> {
    const log = this.#rooms.get(room);
    log?.joining();
    const { promise, resolve, reject } = Promise.withResolvers<Subscribed | Refused>();
    this.#socket
      .timeout(ackTimeoutMs)
      .emit('subscribe', { room, ...(since && { since }) }, (late: Error | null, answer) => {
        if (late === null) resolve(answer);
        else
          reject(
            new CliError(
              'timeout',
              `The server did not answer within ${ackTimeoutMs / 1_000} s.`,
              'Is Synap overloaded? Look at its log.',
            ),
          );
      });
    const answer = await promise;
    if (answer.ok && log !== undefined) this.#apply(log.joined(answer));
    return answer;
  }
}

/** The server refuses with a code; without one it was not reached. */
function connectError(error: Error & { data?: { code?: string; message?: string } }, url: string): CliError {
  const { data } = error;
  if (data?.code === undefined) return unreachable(url);
  return new CliError(
    data.code,
    `${data.message ?? error.message} (${data.code}).`,
    'Make a token with "synap token --user ID", with the JWT_SECRET that this Synap has.',
  );
}
