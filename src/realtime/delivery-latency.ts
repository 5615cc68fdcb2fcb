import type { Clock } from '../platform/clock.js';
import type { Metrics } from '../platform/metrics.js';
import type { WireNotification } from './contract.js';

/** One in so many is looked at, so that frames need not be decoded for it. */
const oneIn = 16;

/** How old notifications are when they have been written to this process' sockets. Postgres' clock against this machine's. */
export class DeliveryLatency {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  #seen = 0;

  constructor(metrics: Metrics, clock: Clock) {
    this.#metrics = metrics;
    this.#clock = clock;
  }

  /** @param read what was written; undefined where it was no notification */
  saw(read: () => WireNotification | undefined): void {
    if (this.#seen++ % oneIn !== 0) return;
    const notification = read();
    if (notification === undefined) return;
    const ageMs = this.#clock.now() - Date.parse(notification.timestamp);
    this.#metrics.realtimeDeliveryDuration.observe(Math.max(0, ageMs) / 1_000);
  }
}
