import type { Clock } from './clock.js';
import type { Logger } from './logger.js';

export interface SlowStatementsOptions {
  /** What takes as long, or longer, is slow. */
  readonly fromMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

const longestText = 300;
const linesPerSecond = 10;

/**
 * One line for each statement that took long, by its name or its text and never with its values: from when it was sent until its answer was
 * read, without the wait for a connection. Where many are slow at once it is not theirs to explain, so a few lines a second are enough; the
 * next one says how many were left out.
 */
export class SlowStatements {
  readonly #options: SlowStatementsOptions;
  #second = 0;
  #lines = 0;
  #leftOut = 0;

  constructor(options: SlowStatementsOptions) {
    this.#options = options;
  }

  /** @returns what is called when it has ended, well or not */
  start(asked: unknown): () => void {
    const { clock, fromMs } = this.#options;
    const startedAt = clock.now();
    return () => {
      const ms = clock.now() - startedAt;
      if (ms >= fromMs) this.#say(asked, ms);
    };
  }

  #say(asked: unknown, ms: number): void {
    const { clock, logger } = this.#options;
    const second = Math.floor(clock.now() / 1_000);
    if (second !== this.#second) [this.#second, this.#lines] = [second, 0];
    if (++this.#lines > linesPerSecond) {
      this.#leftOut++;
      return;
    }
    const leftOut = this.#leftOut > 0 && { leftOut: this.#leftOut };
    this.#leftOut = 0;
    logger.warn({ statement: nameOf(asked), ms, ...leftOut }, 'a statement took long');
  }
}

/** pg is asked with a text, or with an object that has one and maybe a name. */
function nameOf(asked: unknown): string {
  const { name, text }: { readonly name?: unknown; readonly text?: unknown } =
    typeof asked === 'object' && asked !== null ? asked : { text: asked };
  const told = typeof name === 'string' && name !== '' ? name : String(text).replaceAll(/\s+/g, ' ').trim();
  return told.length > longestText ? `${told.slice(0, longestText)}…` : told;
}
