import type { RoomHead, Subscribed, WireNotification } from '../../../realtime/contract.js';

/** What the caller does next: show `apply` in this order; `resync` says to subscribe again with `head`. */
export interface Outcome {
  readonly apply: readonly WireNotification[];
  readonly resync: boolean;
  /** The first answer, or something was missed that the server could not give: what is shown must be loaded (anew). */
  readonly stale: boolean;
}

const nothing: Outcome = { apply: [], resync: false, stale: false };

/**
 * The order of one room. Live frames wait while a subscription is under way; its answer goes first, then what waited.
 * After that `seq == last + 1` is applied, what is not larger is known already, and anything else means a gap.
 */
export class RoomLog {
  #head: RoomHead | undefined;
  #waiting: WireNotification[] | undefined = [];

  /** Where to go on from, for `subscribe`; undefined before the first answer. */
  get head(): RoomHead | undefined {
    return this.#head;
  }

  joining(): void {
    this.#waiting ??= [];
  }

  live(notification: WireNotification): Outcome {
    if (this.#waiting === undefined) return this.#take(notification);
    this.#waiting.push(notification);
    return nothing;
  }

  joined(answer: Subscribed): Outcome {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    const before = this.#head;
    const replayed = answer.notifications.filter((item) => isAfter(item, before));
    this.#head = { epoch: answer.epoch, seq: answer.seq };
    const rest = waiting.map((item) => this.#take(item));
    return {
      apply: [...replayed, ...rest.flatMap(({ apply }) => apply)],
      resync: rest.some(({ resync }) => resync),
      stale: before === undefined || (!answer.recovered && !isSame(before, answer)),
    };
  }

  /** The server's newest seq, from a pong: true where this log is behind it. */
  isBehind(newest: RoomHead): boolean {
    if (this.#waiting !== undefined || this.#head === undefined || newest.epoch === null) return false;
    return newest.epoch !== this.#head.epoch || newest.seq > this.#head.seq;
  }

  #take(notification: WireNotification): Outcome {
    const { epoch, seq } = this.#head ?? { epoch: null, seq: 0 };
    const continues = epoch === notification.epoch || epoch === null;
    if (epoch === notification.epoch && notification.seq <= seq) return nothing;
    if (!continues || notification.seq !== seq + 1) return { apply: [], resync: true, stale: false };
    this.#head = { epoch: notification.epoch, seq: notification.seq };
    return { apply: [notification], resync: false, stale: false };
  }
}

const isSame = (a: RoomHead, b: RoomHead): boolean => a.epoch === b.epoch && a.seq === b.seq;

function isAfter(notification: WireNotification, head: RoomHead | undefined): boolean {
  return head === undefined || head.epoch !== notification.epoch || notification.seq > head.seq;
}
