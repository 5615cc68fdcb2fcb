import { setTimeout as delay } from 'node:timers/promises';
import { io, type Socket } from 'socket.io-client';
import { Agent, request } from 'undici';
import { within } from '../../test/support/signals.ts';
import type { Random } from '../random.ts';
import type { Synap } from '../synap.ts';

const users = Array.from({ length: 50 }, (_, index) => `user-${index}`);

/** One of so many arrivals reads its user's list: what reading loads is part of an api's memory. */
const readsOneOf = 20;

/** Tasks that users ask for at a steady rate, each heard of by its user's open page; now and then a page reads its list. */
export class SteadyLoad {
  readonly #url: string;
  readonly #tokens: readonly string[];
  readonly #sockets: readonly Socket[];
  readonly #agent = new Agent({ connections: 32 });
  readonly #random: Random;
  readonly #failed: unknown[] = [];
  accepted = 0;
  heard = 0;

  private constructor(url: string, tokens: readonly string[], sockets: readonly Socket[], random: Random) {
    this.#url = url;
    this.#tokens = tokens;
    this.#sockets = sockets;
    this.#random = random;
    for (const socket of sockets) {
      socket.on('notification', ({ type }: { type: string }) => {
        if (type === 'task.creation.completed') this.heard += 1;
      });
    }
  }

  static async open(synap: Synap, random: Random): Promise<SteadyLoad> {
    const tokens = await Promise.all(users.map((user) => synap.mint(user)));
    const sockets = tokens.map((token) =>
      io(synap.one('realtime').url, { auth: { token }, transports: ['websocket'], forceNew: true }),
    );
    const asked = sockets.map((socket, index) => socket.emitWithAck('subscribe', { room: `user_${users[index]}` }));
    await within(Promise.all(asked), 'the sockets to be subscribed');
    return new SteadyLoad(synap.one('api').url, tokens, sockets, random);
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
    for (const socket of this.#sockets) socket.disconnect();
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
