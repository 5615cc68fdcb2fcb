import type { Clock } from '../../platform/clock.js';
import { toError } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import type { Metrics } from '../../platform/metrics.js';
import { clientEvents, type ClientToServerEvents, type Refused } from '../contract.js';
import type { RealtimeSocket } from '../io.js';
import { SocketError, toSocketError } from './socket-error.js';
import { TokenBucket, type BucketRule } from './token-bucket.js';

export type ClientEvent = keyof ClientToServerEvents;

/** Answers a client's message; what it throws is a refusal. */
export type RequestHandlers = Readonly<Record<ClientEvent, (message: unknown) => Promise<object>>>;

export interface RequestsDeps {
  readonly messages: BucketRule;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
}

type Answer = (answer: unknown) => void;

/** All that one connected socket says. It is answered where it asked for an answer, and never ends the process. */
export class Requests {
  readonly #socket: RealtimeSocket;
  readonly #handlers: RequestHandlers;
  readonly #deps: RequestsDeps;
  readonly #bucket: TokenBucket;

  constructor(socket: RealtimeSocket, handlers: RequestHandlers, deps: RequestsDeps) {
    this.#socket = socket;
    this.#handlers = handlers;
    this.#deps = deps;
    this.#bucket = new TokenBucket(deps.messages, deps.clock);
  }

  /** In the turn of the connection: what the client sends first must find its listener. */
  listen(): void {
    const socket: UntypedSocket = this.#socket;
    socket.onAny((event, ...args) => void this.#take(event, args));
  }

  async #take(name: unknown, args: readonly unknown[]): Promise<void> {
    const event = clientEvents.find((known) => known === name);
    const ack = ackOf(args);
    try {
      const answer = await this.#answer(event, args);
      this.#count(event, 'ok');
      if (ack !== undefined) ack(answer);
      // Who does not know acknowledgements hears of its ping by an event.
      else if (event === 'ping') this.#socket.emit('pong', answer as never);
    } catch (thrown) {
      ack?.(this.#refusal(event, thrown));
    }
  }

  async #answer(event: ClientEvent | undefined, args: readonly unknown[]): Promise<object> {
    if (!this.#bucket.take()) throw new SocketError('rate_limited', 'Too many messages, slow down');
    if (event === undefined) throw new SocketError('invalid_message', 'There is no such event');
    return this.#handlers[event](args[0]);
  }

  #refusal(event: ClientEvent | undefined, thrown: unknown): Refused {
    if (!(thrown instanceof SocketError)) {
      this.#deps.logger.warn({ err: toError(thrown), event }, 'a message of a socket could not be served');
    }
    const { data } = toSocketError(thrown);
    this.#count(event, data.code);
    return { ok: false, ...data };
  }

  #count(event: ClientEvent | undefined, outcome: string): void {
    this.#deps.metrics.websocketRequests.inc({ event: event ?? 'unknown', outcome });
  }
}

/** Listeners get whatever a client sends; the types of the contract are promises of well-behaved clients. */
interface UntypedSocket {
  onAny(listener: (event: unknown, ...args: unknown[]) => void): unknown;
}

function ackOf(args: readonly unknown[]): Answer | undefined {
  const last = args.at(-1);
  return typeof last === 'function' ? (last as Answer) : undefined;
}
