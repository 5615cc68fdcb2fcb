import { setImmediate as turn } from 'node:timers/promises';
import { perTurn, type PublishRequest } from './notices.ts';
import type { Asked } from './program.ts';

type Answer = (argument: never) => unknown;

/** The other end of `Program`: one function for each thing that it may be asked. */
export function answer(answers: Readonly<Record<string, Answer>>): void {
  process.on('message', (asked: Asked) => void respond(answers, asked));
  process.once('disconnect', () => process.exit(0));
}

async function respond(answers: Readonly<Record<string, Answer>>, { id, name, argument }: Asked): Promise<void> {
  try {
    const known = answers[name];
    if (known === undefined) throw new Error(`it is asked for "${name}", which it does not know`);
    const result = await known(argument as never);
    if (id !== 0) process.send?.({ id, result });
  } catch (thrown) {
    process.send?.({ id, error: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) });
  }
}

export const progress = (count: number): void => void process.send?.({ progress: count });

/** A variable that whoever starts the program must give. */
export function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not given`);
  return value;
}

/** So much may be under way, in deliveries: a sender that only sends measures how fast memory fills. */
export class Credit {
  #window = 0;
  #sent = 0;
  #arrived = 0;
  #wake: (() => void) | undefined;

  /** @param count of the deliveries since `publish` was asked for */
  readonly arrived = (count: number): void => {
    this.#arrived = count;
    this.#wake?.();
  };

  /** @param send publishes so many from there on; what one call is given leaves in one turn of the event loop */
  async publish(
    { from, count, target, window }: PublishRequest,
    send: (n: number, some: number) => void,
  ): Promise<void> {
    [this.#window, this.#sent, this.#arrived] = [window, 0, 0];
    const end = from + count;
    const most = Math.min(perTurn, Math.max(1, Math.floor(window / target.sockets / 2)));
    for (let n = from; n < end; n += most) {
      const some = Math.min(most, end - n);
      await this.#take(some * target.sockets);
      send(n, some);
      await turn();
    }
  }

  async #take(deliveries: number): Promise<void> {
    this.#sent += deliveries;
    while (this.#sent - this.#arrived > this.#window) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
