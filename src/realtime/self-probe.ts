import type { Clock } from '../platform/clock.js';
import { toError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import type { Metrics } from '../platform/metrics.js';
import type { Ephemeral } from './contract.js';
import type { RoomFanout } from './fanout.js';
import type { RoomTap } from './tap.js';

export interface SelfProbeDeps {
  readonly nodeId: string;
  readonly fanout: Pick<RoomFanout, 'ephemeral'>;
  readonly tap: RoomTap;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  /** What was sent did not come: begin to listen anew. */
  readonly onDeaf: () => void;
  /** It comes again; what came in between is lost. */
  readonly onHealed: () => void;
}

const everyMs = 5_000;

/**
 * Whether what is published is heard. A subscriber whose connection is open and dead, or leads to another Redis than its publisher's,
 * looks healthy and loses every notification: so each process says something to a room of its own, the way that notifications go, and
 * must hear it before it speaks again.
 */
export class SelfProbe {
  readonly #deps: SelfProbeDeps;
  readonly #room: string;
  #said = 0;
  #heard = 0;
  #wasSent = true;
  #isDeaf = false;
  #cancel: (() => void) | undefined;
  #endTap: (() => void) | undefined;

  constructor(deps: SelfProbeDeps) {
    this.#deps = deps;
    this.#room = `probe:${deps.nodeId}`;
  }

  get isDeaf(): boolean {
    return this.#isDeaf;
  }

  start(): void {
    this.#endTap ??= this.#deps.tap.tap(this.#room, { onEphemeral: (frame) => this.#hear(frame) });
    this.#later();
  }

  /** Idempotent. */
  stop(): void {
    this.#cancel?.();
    this.#endTap?.();
    this.#endTap = undefined;
  }

  #later(): void {
    this.#cancel = this.#deps.clock.after(everyMs, () => {
      if (this.#heard < this.#said) this.#miss();
      this.#say();
      this.#later();
    });
  }

  #say(): void {
    const { fanout, clock, nodeId } = this.#deps;
    const timestamp = new Date(clock.now()).toISOString();
    const payload = { room: this.#room, requestId: nodeId, eventId: nodeId, percent: 0, timestamp };
    const message = String(++this.#said);
    this.#wasSent = fanout.ephemeral(this.#room, { event: 'progress', payload: { ...payload, message } });
  }

  #hear({ event, payload }: Ephemeral): void {
    if (event !== 'progress' || Number(payload.message) !== this.#said) return;
    this.#heard = this.#said;
    if (!this.#isDeaf) return;
    this.#isDeaf = false;
    this.#deps.logger.info('what is published is heard again');
    this.#deps.onHealed();
  }

  #miss(): void {
    const { metrics, logger, onDeaf } = this.#deps;
    metrics.realtimeProbeFailures.inc();
    if (!this.#isDeaf) logger.warn({ wasSent: this.#wasSent }, 'what is published is not heard');
    this.#isDeaf = true;
    // What could not be sent says nothing of the subscriber, which may hear all others.
    if (!this.#wasSent) return;
    try {
      onDeaf();
    } catch (thrown) {
      logger.error({ err: toError(thrown) }, 'the subscriber could not be renewed');
    }
  }
}
