import type pg from 'pg';
import { Batcher } from '../platform/batcher.js';
import type { Clock } from '../platform/clock.js';
import { runStatement, type Statement } from '../platform/database.js';
import { toError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import { Periodic } from '../platform/periodic.js';
import { fastPathLease, longestQueueDelayMs } from '../events/statements.js';
import type { Runnable, TicketData } from '../queues/ticket.js';

/**
 * The function is in the migration and locks the lanes in one statement and looks for their next jobs in a second, with a
 * snapshot of its own: a subselect of the first would not see a job that was accepted between its snapshot and the lock, and
 * nobody would release it.
 */
const release: Statement = {
  name: 'lanes-release',
  text: `SELECT * FROM release_lanes($1::text[], $2::text[], ${fastPathLease}, interval '${longestQueueDelayMs} milliseconds')`,
};

/** Ends that nobody has looked at, where a process died between the end of a job and the release of the next. */
const findEnded: Statement = {
  name: 'lanes-find-ended',
  text: `SELECT DISTINCT lane FROM (
    SELECT lane FROM lane_ends WHERE "endedAt" < now() - $1 * interval '1 millisecond' ORDER BY id LIMIT $2
  ) AS ends`,
};

/** Lanes whose dead head may hold them no longer: the handler's policy has changed since somebody looked. */
const noteSkipped: Statement = {
  name: 'lanes-note-skipped',
  text: `
  INSERT INTO lane_ends (lane) SELECT l.key FROM lanes l JOIN jobs j ON j.id = l.head
  WHERE j.state = 'dead' AND j.queue = ANY($1::text[])`,
};

interface ReleasedRow extends Omit<TicketData, 'eventId' | 'type'> {
  readonly jobId: string;
  readonly queue: string;
  readonly generation: number;
  readonly priority: number;
  readonly runAt: Date;
}

function toRunnable(row: ReleasedRow): Runnable {
  const { jobId, queue, generation, priority, runAt, userId, requestId, correlationId } = row;
  const data = { eventId: jobId, type: queue, userId, requestId, correlationId };
  return { jobId, queue, generation, priority, runAt: runAt.getTime(), data };
}

export interface LanesOptions {
  readonly pool: pg.Pool;
  /** The queues whose lanes go on without a dead job. */
  readonly skipping: readonly string[];
  /** Called after the commit with the jobs it made runnable; must not throw. */
  readonly onRunnable: (runnable: readonly Runnable[]) => void;
  readonly logger: Logger;
}

/**
 * Lanes: the jobs of an ordered handler for one aggregate, of which only the head is ever in a queue. Accepting gives the
 * places (src/events/statements.ts); the end of the head, whatever it was, is noted in `lane_ends` by the transaction that
 * ended it, and this releases the next. All of it may be repeated.
 */
export class Lanes {
  readonly #options: LanesOptions;
  readonly #batcher: Batcher<string, void>;

  constructor(options: LanesOptions) {
    this.#options = options;
    this.#batcher = new Batcher({ run: (lanes) => this.#release(lanes) });
  }

  /** Never throws and never waits: what it cannot do now is done by LaneWatch. */
  readonly ended = (lanes: readonly string[]): void => {
    for (const lane of lanes) {
      this.#batcher.add(lane).catch((thrown: unknown) => {
        this.#options.logger.debug({ err: toError(thrown) }, 'a lane is left to the lane watch');
      });
    }
  };

  /**
   * Resolves when the next jobs are released and handed to the fast path.
   * @throws SynapError `overloaded`, `unavailable`
   */
  async release(lanes: readonly string[]): Promise<void> {
    await Promise.all(lanes.map((lane) => this.#batcher.add(lane)));
  }

  /** Has the lanes looked at again that wait behind a dead job although their handler skips such. */
  async noteSkipped(): Promise<void> {
    const { pool, skipping } = this.#options;
    if (skipping.length > 0) await runStatement(pool, noteSkipped, [skipping]);
  }

  drain(): Promise<void> {
    return this.#batcher.drain();
  }

  async #release(lanes: readonly string[]): Promise<void[]> {
    const { pool, skipping, onRunnable } = this.#options;
    const rows = await runStatement<ReleasedRow>(pool, release, [[...new Set(lanes)], skipping]);
    onRunnable(rows.map(toRunnable));
    return lanes.map(() => undefined);
  }
}

export interface LaneWatchOptions {
  readonly pool: pg.Pool;
  readonly lanes: Lanes;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Younger ends are being released by whoever committed them. */
  readonly graceMs?: number;
}

const perRound = 500;
/** A process of an older release, with another policy, may have looked at a lane during a rolling restart. */
const skippedEveryMs = 600_000;

/** Releases where nobody did. It reads only ends that were not looked at, however many lanes wait or are blocked. */
export class LaneWatch {
  readonly #options: LaneWatchOptions;
  readonly #periodic: Periodic;
  #skippedAt = -Infinity;

  constructor(options: LaneWatchOptions) {
    this.#options = options;
    const { clock, logger } = options;
    this.#periodic = new Periodic({ name: 'lane watch', everyMs: 1_000, run: () => this.runOnce(), clock, logger });
  }

  start(): void {
    this.#periodic.start();
  }

  stop(): Promise<void> {
    return this.#periodic.stop();
  }

  async runOnce(): Promise<void> {
    const { pool, lanes, clock, graceMs = 500 } = this.#options;
    if (clock.now() - this.#skippedAt >= skippedEveryMs) {
      await lanes.noteSkipped();
      this.#skippedAt = clock.now();
    }
    const ended = await runStatement<{ lane: string }>(pool, findEnded, [graceMs, perRound]);
    if (ended.length > 0) await lanes.release(ended.map(({ lane }) => lane));
  }
}
