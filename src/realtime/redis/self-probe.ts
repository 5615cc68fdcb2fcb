import type { Clock } from '../../platform/clock.js';
import { toError } from '../../platform/errors.js';
import type { CheckStatus } from '../../platform/health.js';
import type { Logger } from '../../platform/logger.js';
import type { Metrics } from '../../platform/metrics.js';
import type { Ephemeral } from '../contract.js';
import type { RoomFanout } from '../publishing/fanout.js';
import type { RoomTap } from '../reading/tap.js';

export interface SelfProbeDeps {
  readonly nodeId: string;
  readonly fanout: Pick<RoomFanout, 'ephemeral'>;
  /** Resolves when all that was sent before has reached Redis. */
  readonly confirm: () => Promise<unknown>;
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
  /** The newest word that is known to have reached Redis. */
  #taken = 0;
  #status: CheckStatus = 'ok';
  /** The word before did not reach Redis. */
  #wasAway = false;
  #cancel: (() => void) | undefined;
  #endTap: (() => void) | undefined;

  constructor(deps: SelfProbeDeps) {
    this.#deps = deps;
    this.#room = `probe:${deps.nodeId}`;
  }

  /** `failed`: deaf where others hear. `degraded`: Redis is away, for all or for this process, or has only just come back. */
  get status(): CheckStatus {
    return this.#status;
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
    const { fanout, confirm, clock, nodeId } = this.#deps;
    const timestamp = new Date(clock.now()).toISOString();
    const payload = { room: this.#room, requestId: nodeId, eventId: nodeId, percent: 0, timestamp };
    const word = ++this.#said;
    const message = String(word);
    if (!fanout.ephemeral(this.#room, { event: 'progress', payload: { ...payload, message } })) return;
    const isTaken = () => void (this.#taken = Math.max(this.#taken, word));
    confirm().then(isTaken, () => undefined);
  }

  #hear({ event, payload }: Ephemeral): void {
    if (event !== 'progress' || Number(payload.message) !== this.#said) return;
    this.#heard = this.#said;
    this.#wasAway = false;
    if (this.#status === 'ok') return;
    this.#status = 'ok';
    this.#deps.logger.info('what is published is heard again');
    this.#deps.onHealed();
  }

  #miss(): void {
    const { metrics, logger, onDeaf } = this.#deps;
    metrics.realtimeProbeFailures.inc();
    const wasTaken = this.#taken === this.#said;
    if (this.#status === 'ok') logger.warn({ wasTaken }, 'what is published is not heard');
    // After an outage of Redis its listener may still be on its way back: one more word tells.
    this.#status = wasTaken && !this.#wasAway ? 'failed' : 'degraded';
    this.#wasAway = !wasTaken;
    // What did not reach Redis says nothing of the subscriber, which may hear all others.
    if (!wasTaken) return;
    try {
      onDeaf();
    } catch (thrown) {
      logger.error({ err: toError(thrown) }, 'the subscriber could not be renewed');
    }
  }
}
