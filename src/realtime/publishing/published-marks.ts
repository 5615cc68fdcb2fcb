import type { Clock } from '../../platform/clock.js';
import type { NotificationLog } from '../log/postgres-log.js';

export interface Mark {
  readonly epoch: string;
  readonly seq: number;
}

const flushAfterMs = 250;
const perStatement = 500;

/**
 * Writes `publishedSeq` behind what was published: late, many rooms at a time, the newest mark of each. A mark that is lost
 * costs a second look at the room, never a notification.
 */
export class PublishedMarks {
  readonly #log: Pick<NotificationLog, 'advance'>;
  readonly #clock: Clock;
  readonly #onFailure: (error: unknown) => void;
  /** Kept until Postgres has them, so that a cold room is not read from further back than this process knows. */
  #pending = new Map<string, Mark>();
  #writing = new Map<string, Mark>();
  #cancel: (() => void) | undefined;
  #flushing: Promise<void> | undefined;

  constructor(log: Pick<NotificationLog, 'advance'>, clock: Clock, onFailure: (error: unknown) => void) {
    this.#log = log;
    this.#clock = clock;
    this.#onFailure = onFailure;
  }

  note(room: string, mark: Mark): void {
    const known = this.#pending.get(room);
    if (known?.epoch === mark.epoch && known.seq >= mark.seq) return;
    this.#pending.set(room, mark);
    this.#schedule();
  }

  known(room: string): Mark | undefined {
    return this.#pending.get(room) ?? this.#writing.get(room);
  }

  /** Writes what there is now. Never rejects. */
  async flush(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    await this.#flushing;
    this.#flushing = this.#write();
    await this.#flushing;
  }

  #schedule(): void {
    this.#cancel ??= this.#clock.after(flushAfterMs, () => {
      this.#cancel = undefined;
      void this.flush();
    });
  }

  async #write(): Promise<void> {
    this.#writing = this.#pending;
    this.#pending = new Map();
    const marks = Array.from(this.#writing, ([room, mark]) => ({ room, ...mark }));
    try {
      for (let from = 0; from < marks.length; from += perStatement) {
        await this.#log.advance(marks.slice(from, from + perStatement));
      }
    } catch (error) {
      this.#onFailure(error);
    }
    this.#writing = new Map();
  }
}
