import type pg from 'pg';
import type { Clock } from '../platform/clock.js';
import { toError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import { requestRoom, roomKey, wireName } from '../realtime/rooms.js';
import type { Publisher } from '../realtime/publishing/publisher.js';
import type { SynapEvent } from '../events/synap-event.js';
import type { Taken } from '../queues/backend.js';
import type { AttemptLogger, TextStream } from './handler.js';

export interface BroadcastOptions {
  readonly pool: pg.Pool;
  readonly publisher: Publisher;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly event: SynapEvent;
  readonly fence: number;
  readonly taken: Taken;
}

const writeEveryMs = 500;
/** Lines of one attempt for its Logs tab, and the length of each: a handler in a loop must not fill the queue's store. */
const maxLines = 1_000;
const maxLineLength = 4_000;

/**
 * What an attempt says while it works. Nothing here is durable or waited for: the newest progress is kept on the job (at
 * most twice a second, outside every transaction), and the rest is superseded by the notification at the end.
 */
export class AttemptBroadcast implements Disposable {
  readonly #options: BroadcastOptions;
  readonly #room: { readonly key: string; readonly name: string };
  #latest: { readonly percent: number; readonly message?: string } | undefined;
  #cancelWrite: (() => void) | undefined;
  #written = 0;
  #lines = 0;
  #isOver = false;

  constructor(options: BroadcastOptions) {
    this.#options = options;
    const room = requestRoom(options.event.userId, options.event.requestId);
    this.#room = { key: roomKey(room), name: wireName(room) };
  }

  readonly progress = (percent: number, message?: string): void => {
    if (this.#isOver) return;
    const { publisher, event, clock } = this.#options;
    const bounded = Math.min(100, Math.max(0, Math.round(percent)));
    this.#latest = { percent: bounded, ...(message !== undefined && { message: message.slice(0, 500) }) };
    const timestamp = new Date(clock.now()).toISOString();
    const payload = {
      room: this.#room.name,
      requestId: event.requestId,
      eventId: event.id,
      ...this.#latest,
      timestamp,
    };
    publisher.ephemeral(this.#room.key, { event: 'progress', payload });
    this.#cancelWrite ??= clock.after(writeEveryMs, () => this.#write());
  };

  toStream(): TextStream {
    const { publisher, event, fence } = this.#options;
    return {
      write: (text) => {
        if (this.#isOver) return;
        const at = { room: this.#room.name, requestId: event.requestId, eventId: event.id, attempt: fence };
        publisher.ephemeral(this.#room.key, { event: 'delta', payload: { ...at, offset: this.#written, text } });
        this.#written += text.length;
      },
    };
  }

  toLogger(): AttemptLogger {
    const { logger } = this.#options;
    const say =
      (level: 'info' | 'warn' | 'error') =>
      (message: string, details: object = {}) => {
        logger[level](details, message);
        this.#keep(
          Object.keys(details).length === 0 ? `${level} ${message}` : `${level} ${message} ${JSON.stringify(details)}`,
        );
      };
    return { info: say('info'), warn: say('warn'), error: say('error') };
  }

  #keep(line: string): void {
    if (this.#isOver || this.#lines > maxLines) return;
    const isLast = ++this.#lines > maxLines;
    this.#options.taken.log(
      isLast ? `more than ${maxLines} lines: the rest is in the worker's log` : line.slice(0, maxLineLength),
    );
  }

  /** Nothing is said after the attempt, also not by a handler that was left behind. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#cancelWrite?.();
  }

  #write(): void {
    this.#cancelWrite = undefined;
    const { pool, event, fence, logger, taken } = this.#options;
    if (this.#latest !== undefined) taken.progress(this.#latest.percent);
    pool
      .query({
        name: 'jobs-progress',
        text: `UPDATE jobs SET progress = $3 WHERE id = $1 AND fence = $2 AND state = 'running'`,
        values: [event.id, fence, JSON.stringify(this.#latest)],
      })
      .catch((thrown: unknown) => logger.debug({ err: toError(thrown) }, 'progress was not kept'));
  }
}
