import type { WireNotification } from '../realtime/contract.js';
import { isCancellation } from './request-state.js';
import type { RequestView, RootView } from './request-view.js';
import type { RequestEnd } from './types.js';

/**
 * The events that were accepted with a request, its roots, and how each has ended. The request has ended when they all have; what
 * they caused may go on behind it, and a broadcast is of no event.
 */
export class RequestRoots {
  /** Undefined: not ended, or how is not known any more. The one that ended last is the last. */
  readonly #roots = new Map<string, RequestEnd | undefined>();
  /** Heard of, before it is known whether they are roots. */
  readonly #unclear = new Map<string, RequestEnd | undefined>();
  /** Known to be none. */
  readonly #caused = new Set<string>();
  /** Heard of, or named by the server: it was accepted, whatever the answer to its sender was. */
  readonly #proven = new Set<string>();
  /** Heard of since the server was asked: what it answers of these is older. */
  readonly #heardSince = new Set<string>();

  get size(): number {
    return this.#roots.size;
  }

  /** Only the server can say of what was heard whether it is the end of the request. While a root goes on, it is not. */
  get isUnclear(): boolean {
    return this.#unclear.size > 0 && [...this.#roots.values()].every((end) => end !== undefined);
  }

  /** What ended the request; of several roots, one that failed goes first, then one that was cancelled, then the last. */
  get end(): RequestEnd | undefined {
    const ends = [...this.#roots.values()].filter((end) => end !== undefined);
    if (ends.length === 0 || ends.length < this.#roots.size) return undefined;
    return ends.find(({ status }) => status === 'error') ?? ends.find(isCancellation) ?? ends.at(-1);
  }

  add(eventId: string): void {
    if (!this.#roots.has(eventId)) this.#roots.set(eventId, this.#unclear.get(eventId));
    this.#unclear.delete(eventId);
    this.#caused.delete(eventId);
  }

  /** It was refused. */
  remove(eventId: string): void {
    if (!this.#proven.has(eventId)) this.#roots.delete(eventId);
  }

  heard(notification: WireNotification): void {
    const { eventId, status } = notification;
    if (eventId === undefined || this.#caused.has(eventId)) return;
    this.#heardSince.add(eventId);
    this.#proven.add(eventId);
    const events = this.#roots.has(eventId) ? this.#roots : this.#unclear;
    const before = events.get(eventId);
    if (status !== 'pending') {
      events.delete(eventId);
      events.set(eventId, notification);
      // After a failure the beginning of a replay; after any other end it is late.
    } else if (before === undefined || before.status === 'error') events.set(eventId, undefined);
  }

  /** The server is about to be asked. */
  asking(): void {
    this.#heardSince.clear();
  }

  /** It has answered. */
  told({ jobs }: RequestView): void {
    for (const job of jobs) {
      const known = this.#roots.get(job.eventId) ?? this.#unclear.get(job.eventId);
      this.#unclear.delete(job.eventId);
      this.#proven.add(job.eventId);
      this.#roots.set(job.eventId, this.#heardSince.has(job.eventId) ? known : endOf(job, known));
    }
    // Who is heard was committed: what was heard before the question is in the answer if it is a root.
    for (const eventId of this.#unclear.keys()) {
      if (this.#heardSince.has(eventId)) continue;
      this.#unclear.delete(eventId);
      this.#caused.add(eventId);
    }
  }

  /**
   * It knows of no such request. What was heard before it was asked was committed, so its jobs are gone with time, and what was heard is
   * all that can be known.
   */
  forgotten(): void {
    for (const [eventId, end] of this.#unclear) {
      if (this.#heardSince.has(eventId)) continue;
      this.#unclear.delete(eventId);
      this.#roots.set(eventId, end);
    }
  }

  /** Something was missed for good: how each stands must be asked. */
  lost(): void {
    for (const eventId of this.#roots.keys()) this.#roots.set(eventId, undefined);
    this.#unclear.clear();
  }
}

/** Its notification where it was heard; else what the server says of it. */
function endOf(job: RootView, known: RequestEnd | undefined): RequestEnd | undefined {
  const { eventId, type, status, result, error, finishedAt } = job;
  if (status === 'pending' || status === 'processing') return undefined;
  if (known !== undefined) return known;
  const what = { type: `request.${status}`, eventId, timestamp: finishedAt ?? '' };
  if (status === 'completed') return { ...what, status: 'success', data: result };
  const data = { eventId, eventType: type, state: status };
  return status === 'cancelled'
    ? { ...what, status: 'success', data }
    : { ...what, status: 'error', data, error: error ?? { code: 'failed', message: 'It failed.' } };
}
