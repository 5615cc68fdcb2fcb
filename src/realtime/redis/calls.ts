import type { Clock } from '../../platform/clock.js';
import type { Redis } from '../../platform/redis.js';
import { atMost } from './at-most.js';
import { RedisAway } from './generation.js';

export interface RoomCommand {
  /** In a cluster what is not of one room may lie on different nodes. */
  readonly room: string;
  readonly command: readonly (string | number | Buffer)[];
}

export type Reply = readonly [error: Error | null, result: unknown];

/** Many commands in one round trip, with a bound for the answer: a connection can look open and be dead (Redis frozen, network gone). */
export class RedisCalls {
  readonly #redis: Redis;
  readonly #answerMs: number;
  readonly #clock: Clock;
  /** Calls without an answer in time. While there are any no more are sent, or they would fill the memory. */
  #stuck = 0;

  constructor(redis: Redis, answerMs: number, clock: Clock) {
    this.#redis = redis;
    this.#answerMs = answerMs;
    this.#clock = clock;
  }

  get isStuck(): boolean {
    return this.#stuck > 0;
  }

  /** One reply per command. What is given up may still happen. @throws RedisAway */
  async send(commands: readonly RoomCommand[]): Promise<readonly (Reply | undefined)[]> {
    if (this.isStuck) throw new RedisAway('Redis does not answer');
    const sent = this.#pipelines(commands);
    const replies = await atMost(this.#answerMs, sent, this.#clock);
    if (replies !== undefined) return replies;
    this.#stuck++;
    const isOver = () => void this.#stuck--;
    sent.then(isOver, isOver);
    throw new RedisAway('Redis did not answer in time');
  }

  /** A pipeline goes to one node: in a cluster each room has its own. */
  async #pipelines(commands: readonly RoomCommand[]): Promise<(Reply | undefined)[]> {
    if (!this.#redis.isCluster) return this.#pipeline(commands);
    const replies = new Map<RoomCommand, Reply | undefined>();
    const rooms = Map.groupBy(commands, ({ room }) => room);
    await Promise.all(
      Array.from(rooms.values(), async (group) => {
        const answered = await this.#pipeline(group);
        for (const [index, command] of group.entries()) replies.set(command, answered[index]);
      }),
    );
    return commands.map((command) => replies.get(command));
  }

  async #pipeline(commands: readonly RoomCommand[]): Promise<Reply[]> {
    return (await this.#redis.pipeline(commands.map(({ command }) => [...command])).exec()) ?? [];
  }
}
