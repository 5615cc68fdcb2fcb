import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type pg from 'pg';
import type { Clock } from '../platform/clock.js';
import { toError } from '../platform/errors.js';
import { newId } from '../platform/ids.js';
import type { Logger } from '../platform/logger.js';
import type { Metrics } from '../platform/metrics.js';
import type { Disposal, Taken } from '../queues/backend.js';
import type { Runnable } from '../queues/ticket.js';
import type { Publisher } from '../realtime/publishing/publisher.js';
import { isolatedArgument, type FromIsolated, type ToIsolated } from './isolation-messages.js';
import { AttemptAborted } from './outcome.js';

export interface IsolationOptions {
  /** The file this process was started from: the child must have the same handlers. */
  readonly entry: string;
  readonly databaseUrl: string;
  readonly memoryMb: number;
  /** How long a child may say nothing. It has a watchdog of its own, so this is for one that is stopped from outside. */
  readonly silenceMs: number;
  readonly pool: pg.Pool;
  readonly publisher: Publisher;
  readonly onRunnable: (runnable: readonly Runnable[]) => void;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly shutdown: AbortSignal;
}

/** Children at a time: each is a process with its own memory. */
const maxChildren = 2;
const busyDelayMs = 1_000;
/** After a child that could not even start; its reason is in the log. */
const startDelayMs = 5_000;
/** A silent child has so long to answer after its time is over: this process may have been stopped, and not the child. */
const lastChanceMs = 2_000;
const exitWithinMs = 10_000;

/**
 * Runs a job that ended its process twice in a process of its own, so that the third time nobody innocent goes with it and
 * there is no doubt whom to blame. The child claims, runs and finishes like any worker; what needs queues and sockets it asks
 * of its parent. Postgres is the record: whichever of the two dies, what was committed stands, and the rest is claimed again.
 */
export class Isolation {
  readonly #options: IsolationOptions;
  #children = 0;

  constructor(options: IsolationOptions) {
    this.#options = options;
  }

  readonly run = async (taken: Taken): Promise<Disposal> => {
    const { shutdown } = this.#options;
    if (this.#children >= maxChildren || shutdown.aborted || taken.signal.aborted) return this.#later(busyDelayMs);
    this.#children++;
    const child = this.#spawn();
    const gone = whenGone(child).finally(() => this.#children--);
    return this.#supervise(child, gone, taken);
  };

  #later(delayMs: number): Disposal {
    return { kind: 'later', runAt: this.#options.clock.now() + delayMs };
  }

  #spawn(): ChildProcess {
    const { entry, memoryMb } = this.#options;
    const flags = process.execArgv.filter((flag) => !/^--(inspect|max-old-space-size)/.test(flag));
    const child = spawn(process.execPath, [...flags, `--max-old-space-size=${memoryMb}`, entry, isolatedArgument], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // Structured clone: dates and errors arrive as such.
      serialization: 'advanced',
    });
    // Whatever it is, `whenGone` tells it; without a listener it would end this process.
    child.on('error', () => undefined);
    return child;
  }

  async #supervise(child: ChildProcess, gone: Promise<string>, taken: Taken): Promise<Disposal> {
    const { databaseUrl, logger } = this.#options;
    const { jobId, generation } = taken;
    const workerId = newId();
    const answered = Promise.withResolvers<Disposal>();
    const progress = { hasStarted: false };
    using silence = new Silence(this.#options, child);
    using _links = this.#linkAborts(child, taken);
    child.on('message', (message: FromIsolated) => {
      silence.end();
      if (message.kind === 'started') progress.hasStarted = true;
      else if (message.kind === 'disposal') answered.resolve(message.disposal);
      else this.#relay(message, taken);
    });
    tell(child, { kind: 'job', jobId, generation, workerId, databaseUrl });
    const disposal = await Promise.race([answered.promise, gone.then(() => undefined)]);
    if (disposal !== undefined) {
      this.#seeOut(child, gone);
      return disposal;
    }
    logger.error({ jobId, end: await gone, ...progress }, 'the process of an isolated job ended without an outcome');
    await this.#reap(workerId);
    return this.#later(progress.hasStarted ? 0 : startDelayMs);
  }

  /** Lost lock and shutdown reach the attempt in the child as they would here. */
  #linkAborts(child: ChildProcess, { signal: lock }: Taken): Disposable {
    const links = new DisposableStack();
    const link = (signal: AbortSignal, { why, message }: AttemptAborted): void => {
      const onAbort = (): void => tell(child, { kind: 'abort', why, message });
      signal.addEventListener('abort', onAbort);
      links.defer(() => signal.removeEventListener('abort', onAbort));
    };
    link(lock, new AttemptAborted('lock_lost', 'the queue lost its lock on this job'));
    link(this.#options.shutdown, new AttemptAborted('shutdown', 'this worker is shutting down'));
    return links;
  }

  #relay(message: Exclude<FromIsolated, { kind: 'started' | 'disposal' }>, taken: Taken): void {
    const { publisher, onRunnable, metrics } = this.#options;
    switch (message.kind) {
      case 'alive':
        return;
      case 'publish':
        return publisher.publish(message.entries);
      case 'ephemeral':
        return publisher.ephemeral(message.room, message.frame);
      case 'runnable':
        return onRunnable(message.runnable);
      case 'log':
        return taken.log(message.line);
      case 'progress':
        return taken.progress(message.percent);
      case 'metric':
        return applyMetric(metrics, message);
    }
  }

  /** It is dead for certain, so nobody need wait for its heartbeat to grow old. */
  async #reap(workerId: string): Promise<void> {
    await this.#options.pool
      .query('DELETE FROM workers WHERE id = $1', [workerId])
      .catch((thrown: unknown) =>
        this.#options.logger.warn({ err: toError(thrown) }, 'a dead worker stays until its heartbeat is old'),
      );
  }

  /** It has said all it had to say. */
  #seeOut(child: ChildProcess, gone: Promise<string>): void {
    const cancel = this.#options.clock.after(exitWithinMs, () => child.kill('SIGKILL'));
    void gone.finally(cancel);
  }
}

/** Ends a child that says nothing, not even that it is alive. */
class Silence implements Disposable {
  readonly #options: Pick<IsolationOptions, 'clock' | 'silenceMs'>;
  readonly #child: ChildProcess;
  #cancel: () => void = () => undefined;

  constructor(options: Pick<IsolationOptions, 'clock' | 'silenceMs'>, child: ChildProcess) {
    this.#options = options;
    this.#child = child;
    this.end();
  }

  end(): void {
    const { clock, silenceMs } = this.#options;
    this.#cancel();
    this.#cancel = clock.after(silenceMs, () => {
      this.#cancel = clock.after(lastChanceMs, () => this.#child.kill('SIGKILL'));
    });
  }

  [Symbol.dispose](): void {
    this.#cancel();
  }
}

function tell(child: ChildProcess, message: ToIsolated): void {
  if (child.connected) child.send(message, () => undefined);
}

/** Resolves with how it ended, when all that it said has been heard: its exit is told before its last messages. */
async function whenGone(child: ChildProcess): Promise<string> {
  const failed = once(child, 'error').then(([error]: unknown[]) => toError(error).message);
  const exited = Promise.all([once(child, 'exit'), once(child, 'disconnect')]).then(([[code, signal]]) =>
    String(signal ?? `code ${String(code)}`),
  );
  exited.catch(() => undefined);
  return Promise.race([exited, failed]);
}

/** The child's counters are scraped here, or nobody would see a dead letter of its. */
function applyMetric(metrics: Metrics, { name, method, given }: Extract<FromIsolated, { kind: 'metric' }>): void {
  const metric = metrics[name as keyof Metrics] as unknown as Record<
    string,
    ((...given: unknown[]) => void) | undefined
  >;
  metric[method]?.(...given);
}
