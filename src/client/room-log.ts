import type { ResetReason, RoomHead, Subscribed, SubscribeRequest, WireNotification } from '../realtime/contract.js';

/** What the caller does next: show `apply` in this order; `resync` says to subscribe again, `since` the log's place. */
export interface Outcome {
  /** Comes before `apply`: what is shown must be loaded (anew). */
  readonly reset?: ResetReason | 'first';
  readonly apply: readonly WireNotification[];
  readonly resync: boolean;
}

const nothing: Outcome = { apply: [], resync: false };
const behind: Outcome = { apply: [], resync: true };
/** A catch-up of many pages holds this many live ones; the next page brings what is dropped here. */
const maxWaiting = 1_000;

/**
 * The order of one room. Live frames wait while a subscription is under way; its answer goes first, then what waited.
 * After that `seq == last + 1` is applied, what is not larger is known already, and anything else means a gap.
 */
export class RoomLog {
  #head: RoomHead | undefined;
  #waiting: WireNotification[] | undefined = [];
  /** Of those that wait, the ones that an answer of another epoch has left behind. */
  readonly #strangers = new WeakSet<WireNotification>();
  /** The server's time of the last answer: with it, a room that was empty then can be told from one that was emptied since. */
  #at: string | undefined;
  #isNew = true;

  /** @param start where a room that was never heard begins; without it, with what comes from now on */
  constructor(start?: RoomHead) {
    this.#head = start;
  }

  get head(): RoomHead | undefined {
    return this.#head;
  }

  /** No answer has come yet. */
  get isNew(): boolean {
    return this.#isNew;
  }

  /** Where to go on from; undefined where only what comes from now on is wanted. */
  get since(): SubscribeRequest['since'] {
    return this.#head && { ...this.#head, ...(this.#at !== undefined && { at: this.#at }) };
  }

  /** A subscription is (again) under way. */
  joining(): void {
    this.#waiting ??= [];
  }

  live(notification: WireNotification): Outcome {
    if (this.#waiting === undefined) return this.#take(notification);
    this.#waiting.push(notification);
    if (this.#waiting.length > maxWaiting) this.#waiting.shift();
    return nothing;
  }

  joined(answer: Subscribed): Outcome {
    const reset = this.#resetOf(answer);
    this.#isNew = false;
    this.#at = answer.at;
    const before = this.#head;
    const replayed = answer.notifications.filter((item) => isAfter(item, before));
    this.#head = headAfter(answer);
    const first = { ...(reset && { reset }), apply: replayed };
    if (answer.hasMore === true) return { ...first, resync: true };
    const waiting = (this.#waiting ?? []).filter((item) => !this.#isLate(item, answer));
    this.#waiting = undefined;
    const rest = waiting.map((item) => this.live(item));
    return {
      ...first,
      apply: [...replayed, ...rest.flatMap(({ apply }) => apply)],
      resync: rest.some(({ resync }) => resync),
    };
  }

  /** The server's newest seq, from a pong: true where this log is behind it. */
  isBehind(newest: RoomHead): boolean {
    if (this.#waiting !== undefined || this.#head === undefined || newest.epoch === null) return false;
    return newest.epoch !== this.#head.epoch || newest.seq > this.#head.seq;
  }

  /** True where something between `start` and here may have been given out already. */
  isBeyond(start: RoomHead): boolean {
    if (this.#head === undefined) return true;
    return this.#head.seq > 0 && (start.epoch !== this.#head.epoch || start.seq < this.#head.seq);
  }

  #resetOf(answer: Subscribed): Outcome['reset'] {
    if (this.#head === undefined) return 'first';
    if (!answer.recovered && !isSame(this.#head, answer)) {
      return answer.reset ?? (this.#head.epoch === answer.epoch ? 'too_old' : 'epoch_changed');
    }
    return this.#isNew ? 'first' : undefined;
  }

  /** The first answer may have been read before it was written; a second one of another epoch says that it came from an older one. */
  #isLate(item: WireNotification, { epoch }: RoomHead): boolean {
    if (item.epoch === epoch) return false;
    if (this.#strangers.has(item)) return true;
    this.#strangers.add(item);
    return false;
  }

  #take(notification: WireNotification): Outcome {
    const { epoch, seq } = this.#head ?? { epoch: null, seq: 0 };
    const continues = epoch === notification.epoch || epoch === null;
    if (epoch === notification.epoch && notification.seq <= seq) return nothing;
    if (!continues || notification.seq !== seq + 1) {
      // It waits for the answer that brings what is before it.
      this.#waiting = [notification];
      return behind;
    }
    this.#head = { epoch: notification.epoch, seq: notification.seq };
    return { apply: [notification], resync: false };
  }
}

const isSame = (a: RoomHead, b: RoomHead): boolean => a.epoch === b.epoch && a.seq === b.seq;

/** Of a page that is not the last, the place of its last notification; the answer's own head is then beyond it. */
function headAfter({ epoch, seq, notifications, hasMore }: Subscribed): RoomHead {
  const last = notifications.at(-1);
  return hasMore === true && last !== undefined ? { epoch: last.epoch, seq: last.seq } : { epoch, seq };
}

function isAfter(notification: WireNotification, head: RoomHead | undefined): boolean {
  return head === undefined || head.epoch !== notification.epoch || notification.seq > head.seq;
}
