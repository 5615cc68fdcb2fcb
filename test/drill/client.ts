import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { io, type Socket } from 'socket.io-client';

export interface Access {
  readonly url: string;
  /** PEM of the authority that signed the site's certificate. */
  readonly ca: string;
}

export interface Call {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly location: string | undefined;
  readonly cookie: string | undefined;
}

const agents = new Map<string, Agent>();

/** One HTTPS call that checks the certificate. */
export async function call(
  { url, ca }: Access,
  path: string,
  { method = 'GET', headers = {}, body }: Call = {},
): Promise<Answer> {
  const agent = agents.get(ca) ?? new Agent({ ca, keepAlive: true, maxSockets: 20 });
  agents.set(ca, agent);
  const sent = request(new URL(path, url), { method, headers, agent, timeout: 30_000 });
  sent.on('timeout', () => sent.destroy(new Error('no answer within 30 s')));
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const { location, 'set-cookie': cookies } = response.headers;
  return {
    status: response.statusCode ?? 0,
    body: await text(response),
    location,
    cookie: cookies?.[0]?.split(';')[0],
  };
}

export interface Posted {
  readonly requestId: string;
  /** What the tries before the 202 were answered. */
  readonly refusals: readonly string[];
}

const maxTries = 200;

/** A note, posted as a careful client does: what is not answered 202 is tried again under the same idempotency key. */
export async function postNote(access: Access, token: string, title: string): Promise<Posted> {
  const requestId = randomUUID();
  const body = JSON.stringify({ type: 'note.creation.requested', requestId, data: { title, content: 'Milk, bread' } });
  const headers = {
    'Content-Type': 'application/json',
    Authorization: `Bearer ${token}`,
    'Idempotency-Key': requestId,
  };
  const refusals: string[] = [];
  for (;;) {
    const answer = await call(access, '/v1/events', { method: 'POST', headers, body }).catch((thrown: unknown) => ({
      status: 0,
      body: String(thrown),
    }));
    if (answer.status === 202) return { requestId, refusals };
    refusals.push(`${answer.status} ${answer.body}`);
    if (refusals.length === maxTries) throw new Error(`POST /v1/events: ${refusals.at(-1)}`);
    await delay(200);
  }
}

interface Heard {
  readonly type: string;
  readonly requestId?: string;
  readonly room: string;
  readonly seq: number;
  readonly epoch: string;
}

/** A user's page: connected, back by itself after a loss, and then asking for what it missed. */
export class Listener {
  readonly socket: Socket;
  /** Of the user's room. What comes live while the replay is under way comes twice: a set, as a client keeps one. */
  readonly seqs = new Set<number>();
  reconnects = 0;
  readonly #room: string;
  readonly #completed = new Set<string>();
  readonly #waiting = new Map<string, () => void>();
  #last: { epoch: string; seq: number } | undefined;

  constructor({ url, ca }: Access, token: string, userId: string, transports: string[]) {
    this.#room = `user_${userId}`;
    this.socket = io(url, {
      transports,
      ca,
      auth: { token },
      forceNew: true,
      reconnectionDelay: 200,
      reconnectionDelayMax: 1_000,
    });
    this.socket.on('notification', (notification: Heard) => this.#hear(notification));
    // A connection that is lost before the answer is followed by another, which asks again.
    this.socket.on('connect', () => void this.#subscribe().catch(() => undefined));
    this.socket.io.on('reconnect', () => (this.reconnects += 1));
  }

  async connected(): Promise<void> {
    if (this.socket.connected) return;
    await new Promise<void>((resolve) => this.socket.once('connect', resolve));
  }

  /** Resolves when the note of this request is announced. */
  async completed(requestId: string, withinMs: number): Promise<void> {
    if (this.#completed.has(requestId)) return;
    const late = AbortSignal.timeout(withinMs);
    await new Promise<void>((resolve, reject) => {
      this.#waiting.set(requestId, resolve);
      late.addEventListener('abort', () =>
        reject(new Error(`request ${requestId} was not announced within ${withinMs} ms`)),
      );
    });
  }

  close(): void {
    this.socket.disconnect();
  }

  async #subscribe(): Promise<void> {
    const room = { room: this.#room, ...(this.#last && { since: this.#last }) };
    const answer = (await this.socket.emitWithAck('subscribe', room)) as { notifications?: readonly Heard[] };
    for (const notification of answer.notifications ?? []) this.#hear(notification);
  }

  #hear(notification: Heard): void {
    const { room, seq, epoch, requestId, type } = notification;
    if (room !== this.#room) return;
    this.seqs.add(seq);
    this.#last = { epoch, seq: Math.max(seq, this.#last?.seq ?? 0) };
    if (type !== 'note.creation.completed' || requestId === undefined) return;
    this.#completed.add(requestId);
    this.#waiting.get(requestId)?.();
  }
}
