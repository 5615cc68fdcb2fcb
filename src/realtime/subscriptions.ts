import { z } from 'zod';
import type { Clock } from '../platform/clock.js';
import { toError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import { clientEvents, subscribeRequest, type Pong, type Refused, type RoomHead, type Subscribed } from './contract.js';
import { SocketError, toSocketError } from './handshake.js';
import type { RealtimeSocket } from './io.js';
import type { NotificationLog } from './postgres-log.js';
import type { RoomReader } from './room-reader.js';
import { isRoomKey, parseRoomKey, resolveRoom, roomKey, wireName, type Room } from './rooms.js';

export interface SubscriptionDeps {
  readonly log: Pick<NotificationLog, 'heads'>;
  readonly reader: RoomReader;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Rooms that one socket may be in, beside its user's. */
  readonly maxSubscriptions: number;
}

const roomName = z.string().max(400);
const subscribeSchema = subscribeRequest.extend({ room: roomName });
const unsubscribeSchema = z.object({ room: roomName });

type Answer = (answer: unknown) => void;
const known: readonly unknown[] = clientEvents;

/** What one connected socket may ask. Whatever it sends is answered where it asked for an answer, and never ends the process. */
export class Subscriptions {
  readonly #deps: SubscriptionDeps;
  readonly #socket: RealtimeSocket;

  constructor(socket: RealtimeSocket, deps: SubscriptionDeps) {
    this.#deps = deps;
    this.#socket = socket;
  }

  /** In the turn of the connection: what the client sends first must find its listener. */
  listen(): void {
    const socket: UntypedSocket = this.#socket;
    socket.on('subscribe', (...args: unknown[]) => this.#answer(args, (message) => this.#subscribe(message)));
    socket.on('unsubscribe', (...args: unknown[]) => this.#answer(args, (message) => this.#unsubscribe(message)));
    socket.on('ping', (...args: unknown[]) => void this.#ping(ackOf(args)));
    socket.onAny((event: unknown, ...args: unknown[]) => {
      if (!known.includes(event)) ackOf(args)?.(refused(new SocketError('invalid_message', 'There is no such event')));
    });
  }

  #answer(args: readonly unknown[], act: (message: unknown) => Promise<unknown>): void {
    const ack = ackOf(args);
    act(args[0]).then(
      (answer) => ack?.(answer),
      (thrown: unknown) => {
        if (!(thrown instanceof SocketError)) this.#deps.logger.warn({ err: toError(thrown) }, 'a subscription failed');
        ack?.(refused(toSocketError(thrown)));
      },
    );
  }

  /** Join first, read second (`RoomReader`). */
  async #subscribe(message: unknown): Promise<Subscribed> {
    const { room: name, since, paged } = parse(subscribeSchema, message);
    const room = this.#resolve(name);
    const key = roomKey(room);
    this.#checkLimit(key);
    await this.#socket.join(key);
    return { ok: true, room: name, ...(await this.#deps.reader.read({ room: key, since, paged })) };
  }

  async #unsubscribe(message: unknown): Promise<{ ok: true; room: string }> {
    const { room } = parse(unsubscribeSchema, message);
    await this.#socket.leave(roomKey(this.#resolve(room)));
    return { ok: true, room };
  }

  async #ping(ack: Answer | undefined): Promise<void> {
    const pong: Pong = {
      type: 'pong',
      timestamp: new Date(this.#deps.clock.now()).toISOString(),
      // Without heads the pong still says that the connection lives.
      heads: await this.#heads().catch(() => ({})),
    };
    if (ack === undefined) this.#socket.emit('pong', pong);
    else ack(pong);
  }

  async #heads(): Promise<Record<string, RoomHead>> {
    const keys = [...this.#socket.rooms].filter(isRoomKey);
    const heads = await this.#deps.log.heads(keys);
    return Object.fromEntries(
      keys.map((key) => [wireName(parseRoomKey(key)), heads.get(key) ?? { epoch: null, seq: 0 }]),
    );
  }

  #resolve(name: string): Room {
    const room = resolveRoom(name, this.#socket.data.identity.userId);
    if (room !== undefined) return room;
    if (name.startsWith('user_')) throw new SocketError('forbidden', 'This room belongs to another user');
    throw new SocketError('invalid_room', 'A room is user_<userId> or request_<requestId>');
  }

  #checkLimit(key: string): void {
    const { rooms } = this.#socket;
    // Two rooms come with the connection: the socket's own and its user's.
    if (!rooms.has(key) && rooms.size >= this.#deps.maxSubscriptions + 2) {
      throw new SocketError('too_many_subscriptions', `A connection may be in ${this.#deps.maxSubscriptions} rooms`);
    }
  }
}

/** Listeners get whatever a client sends; the types of the contract are promises of well-behaved clients. */
interface UntypedSocket {
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  onAny(listener: (...args: unknown[]) => void): unknown;
}

function parse<T>(schema: z.ZodType<T>, message: unknown): T {
  const parsed = schema.safeParse(message);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new SocketError('invalid_message', `${issue?.path.join('.') || 'The message'}: ${issue?.message ?? 'invalid'}`);
}

function ackOf(args: readonly unknown[]): Answer | undefined {
  const last = args.at(-1);
  return typeof last === 'function' ? (last as Answer) : undefined;
}

function refused({ data }: SocketError): Refused {
  return { ok: false, ...data };
}
