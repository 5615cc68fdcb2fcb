import { io, type Socket } from 'socket.io-client';
import { Pool } from 'undici';
import { within } from '../../test/support/signals.ts';
import type { Random } from '../random.ts';
import type { Synap } from '../synap.ts';

const userCount = 100;
const connections = 64;
const drainWithinMs = 60_000;

interface User {
  readonly token: string;
  readonly socket: Socket;
}

/** Steady load from POST to sockets: arrivals are planned beforehand, each user has a socket that hears of its events. */
export class SteadyLoad {
  readonly #random: Random;
  readonly #users: readonly User[];
  readonly #pool: Pool;
  #heard = 0;
  #accepted = 0;
  #sent = 0;
  /** Of posts that this machine was too slow for: they were refused, and nothing of them is counted. */
  #refused = 0;
  #failure: Error | undefined;

  private constructor(random: Random, users: readonly User[], pool: Pool) {
    this.#random = random;
    this.#users = users;
    this.#pool = pool;
    for (const { socket } of users) socket.on('notification', () => (this.#heard += 1));
  }

  static async connect(synap: Synap, random: Random): Promise<SteadyLoad> {
    const users = await Promise.all(
      Array.from({ length: userCount }, async (_, index) => {
        const token = await synap.mint(`profile-${index}`);
        const socket = io(synap.one('realtime').url, { auth: { token }, transports: ['websocket'], forceNew: true });
        await within(new Promise((resolve) => socket.once('connect', () => resolve(undefined))), 'a socket to connect');
        return { token, socket };
      }),
    );
    return new SteadyLoad(random, users, new Pool(synap.one('api').url, { connections, pipelining: 1 }));
  }

  /** So many posts a second for so long; resolves when all are accepted and heard of. */
  async run(rate: number, seconds: number): Promise<number> {
    const beganAt = performance.now();
    const before = this.#accepted;
    const posts: Promise<unknown>[] = [];
    let at = 0;
    while (at < seconds * 1_000) {
      at += (-Math.log(1 - this.#random.next()) / rate) * 1_000;
      const wait = beganAt + at - performance.now();
      if (wait > 1) await new Promise((resolve) => setTimeout(resolve, wait));
      posts.push(this.#post().catch((thrown: unknown) => (this.#failure ??= toError(thrown))));
    }
    await Promise.all(posts);
    if (this.#failure !== undefined) throw this.#failure;
    return this.#accepted - before;
  }

  /** All that was accepted has been heard of: nothing was lost, and nothing is left for the next window. */
  async drain(): Promise<void> {
    const deadline = performance.now() + drainWithinMs;
    while (this.#heard < this.#accepted) {
      if (performance.now() > deadline)
        throw new Error(`${this.#accepted} events were accepted and ${this.#heard} notifications heard`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  get refused(): number {
    return this.#refused;
  }

  async close(): Promise<void> {
    for (const { socket } of this.#users) socket.disconnect();
    await this.#pool.close();
  }

  async #post(): Promise<void> {
    const n = this.#sent;
    this.#sent += 1;
    const user = this.#users[n % this.#users.length];
    const { statusCode, body } = await this.#pool.request({
      method: 'POST',
      path: '/v1/events',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${user?.token ?? ''}` },
      body: JSON.stringify({ type: 'bench.work.requested', data: { n } }),
    });
    await body.dump();
    if (statusCode === 503) {
      this.#refused += 1;
      return;
    }
    if (statusCode !== 202) throw new Error(`Synap answered ${statusCode}`);
    this.#accepted += 1;
  }
}

const toError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));
