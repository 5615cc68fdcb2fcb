import path from 'node:path';
import { built } from '../../built.ts';
import { Program } from '../../load/program.ts';
import type { Place } from '../../place.ts';
import { productionFlags } from '../../production.ts';
import { watchedStores } from '../../synap.ts';
import type { Watched } from '../../usage.ts';
import type { StartQuestion } from './questions.ts';

const { createTokens } = await built('platform/tokens');

const jwtSecret = 'a secret that only the hand-made stack knows: 0123456789';

type Programs = Readonly<Record<'api' | 'worker' | 'sockets', Program>>;

/**
 * What a competent team would write in a week in Synap's place, as three processes: Express and zod, a BullMQ queue, the Redis emitter,
 * Socket.IO with the Redis adapter. Nothing is stored: what Redis forgets is lost, and a socket that was away has missed it.
 */
export class HandMade {
  readonly postUrl: string;
  readonly socketUrl: string;
  readonly #place: Place;
  readonly #programs: Programs;

  private constructor(place: Place, programs: Programs, ports: { api: number; sockets: number }) {
    this.#place = place;
    this.#programs = programs;
    this.postUrl = `http://127.0.0.1:${ports.api}`;
    this.socketUrl = `http://127.0.0.1:${ports.sockets}`;
  }

  static async start(place: Place): Promise<HandMade> {
    const start = (name: string) =>
      Program.start(path.join(import.meta.dirname, `${name}.ts`), { name, nodeFlags: productionFlags });
    const [api, worker, sockets] = await Promise.all([start('api'), start('worker'), start('sockets')]);
    const question: StartQuestion = { redisUrl: place.redisUrl, jwtSecret };
    const [apiPort, socketPort] = await Promise.all([
      api.ask<number>('start', question),
      sockets.ask<number>('start', question),
      worker.ask('start', question),
    ]);
    return new HandMade(place, { api, worker, sockets }, { api: apiPort, sockets: socketPort });
  }

  mint(userId: string): Promise<string> {
    return createTokens(jwtSecret).mint(userId, { expiresInSeconds: 7_200 });
  }

  watched(): Watched[] {
    const own = Object.entries(this.#programs).map(([name, { pid }]) => ({ name, pid }));
    return [...own, ...watchedStores(this.#place).filter(({ name }) => name === 'redis')];
  }

  async stop(): Promise<void> {
    await Promise.all(Object.values(this.#programs).map((program) => program.stop()));
  }
}
