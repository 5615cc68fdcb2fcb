import { setTimeout as delay } from 'node:timers/promises';
import { io, type Socket } from 'socket.io-client';
import { Agent, request } from 'undici';
import { within } from '../../test/support/signals.ts';
import type { Random } from '../random.ts';
import type { Synap } from '../synap.ts';

const users = Array.from({ length: 50 }, (_, index) => `user-${index}`);

/** One of so many arrivals reads its user's list: what reading loads is part of an api's memory. */
const readsOneOf = 20;

interface Told {
  readonly id: string;
  readonly type: string;
  readonly seq: number;
  readonly epoch: string;
}

interface Subscribed {
  readonly ok: boolean;
  readonly notifications?: readonly Told[];
  readonly hasMore?: boolean;
}

/** A user's open page: where its connection is lost it comes back and asks for what it missed (docs/web-client.md). */
class Page {
  readonly #socket: Socket;
  readonly #room: string;
  readonly #heard = new Set<string>();
  #last: Pick<Told, 'seq' | 'epoch'> | undefined;
  readonly ready: Promise<void>;
  /** Why connections ended, as socket.io says. */
  readonly ends: string[] = [];

  constructor(url: string, user: string, token: string) {
    this.#room = `user_${user}`;
    this.#socket = io(url, { auth: { token }, transports: ['websocket'], forceNew: true });
    const ready = Promise.withResolvers<void>();
    this.ready = ready.promise;
    this.#socket.on('connect', () => void this.#subscribe().then(ready.resolve, ready.reject));
    this.#socket.on('disconnect', (reason) => this.ends.push(reason));
    this.#socket.on('notification', (told: Told) => this.#hear(told));
  }

  get heard(): number {
    return this.#heard.size;
  }

  close(): void {
    this.#socket.disconnect();
  }

  async #subscribe(): Promise<void> {
    const since = this.#last;
    const answer: Subscribed = await this.#socket.emitWithAck('subscribe', {
      room: this.#room,
      ...(since && { since }),
    });
    if (!answer.ok) throw new Error(`${this.#room} was refused: ${JSON.stringify(answer)}`);
    if (since === undefined) return;
    for (const told of answer.notifications ?? []) this.#hear(told);
    if (answer.hasMore === true) await this.#subscribe();
  }

  #hear({ id, type, seq, epoch }: Told): void {
    if (type === 'task.creation.completed') this.#heard.add(id);
    if (seq > (this.#last?.seq ?? 0)) this.#last = { seq, epoch };
  }
}

/** Tasks that users ask for at a steady rate, each heard of by its user's open page; now and then a page reads its list. */
export class SteadyLoad {
  readonly #url: string;
  readonly #tokens: readonly string[];
  readonly #pages: readonly Page[];
  readonly #agent = new Agent({ connections: 32 });
  readonly #random: Random;
  readonly #failed: unknown[] = [];
  accepted = 0;

  private constructor(url: string, tokens: readonly string[], pages: readonly Page[], random: Random) {
    this.#url = url;
    this.#tokens = tokens;
    this.#pages = pages;
    this.#random = random;
  }

  static async open(synap: Synap, random: Random): Promise<SteadyLoad> {
    const tokens = await Promise.all(users.map((user) => synap.mint(user)));
    const pages = tokens.map((token, index) => new Page(synap.one('realtime').url, users[index] ?? '', token));
    await within(Promise.all(pages.map(({ ready }) => ready)), 'the pages to be subscribed');
    return new SteadyLoad(synap.one('api').url, tokens, pages, random);
  }

  get heard(): number {
    return this.#pages.reduce((sum, { heard }) => sum + heard, 0);
  }

  /** Connections that were lost, by reason. */
  get ends(): string[] {
    return this.#pages.flatMap(({ ends }) => ends);
  }

  /** Open loop: arrivals are random (Poisson) and planned, a slow answer keeps no other from being sent. */
  async run(perSecond: number, durationMs: number): Promise<void> {
    const beganAt = performance.now();
    const sent: Promise<void>[] = [];
    for (let atMs = 0; atMs < durationMs; atMs += (-Math.log(1 - this.#random.next()) * 1_000) / perSecond) {
      const waitMs = atMs - (performance.now() - beganAt);
      if (waitMs > 1) await delay(waitMs);
      sent.push(this.#random.below(readsOneOf) === 0 ? this.#read() : this.#post());
      if (sent.length > 1_000) await Promise.all(sent.splice(0, 500));
    }
    await Promise.all(sent);
    if (this.#failed.length > 0) throw new AggregateError(this.#failed, `${this.#failed.length} requests failed`);
  }

  async close(): Promise<void> {
    for (const page of this.#pages) page.close();
    await this.#agent.destroy();
  }

  async #post(): Promise<void> {
    const data = { title: `Task ${this.accepted}` };
    const body = JSON.stringify({ type: 'task.creation.requested', data });
    if (await this.#ask('/v1/events', 202, { method: 'POST', body })) this.accepted += 1;
  }

  async #read(): Promise<void> {
    await this.#ask('/v1/tasks?limit=20', 200, { method: 'GET' });
  }

  /** @returns whether it was answered with this status */
  async #ask(path: string, status: number, asked: { method: 'GET' | 'POST'; body?: string }): Promise<boolean> {
    const token = this.#tokens[this.#random.below(users.length)];
    try {
      const { statusCode, body } = await request(`${this.#url}${path}`, {
        ...asked,
        dispatcher: this.#agent,
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      });
      await body.dump();
      if (statusCode !== status) throw new Error(`${path} was answered ${statusCode}`);
      return true;
    } catch (thrown) {
      this.#failed.push(thrown);
      return false;
    }
  }
}
