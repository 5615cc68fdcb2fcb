/** What the measured notifications say: the same of all contenders, to the byte. */
export const noticeType = 'bench.work.completed';
export const epoch = '0197a000-0000-7000-8000-000000000000';
/** Of the first; each has one of its own, so that nothing is serialized once for all. */
const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
export const noticeId = (n: number): string => `0197a001-0000-7000-8000-${hex(n, 12)}`;
export const eventId = (n: number): string => `0197a002-0000-7000-8000-${hex(n, 12)}`;
export const requestIdOf = (n: number): string => `bench-request-${n}`;
export const dataOf = (n: number) => ({ n, title: 'A note that somebody has written', tags: ['one', 'two', 'three'] });

export interface Target {
  /** The users, one after the other; each has a socket, or several. */
  readonly users: number;
  /** Deliveries that one notification makes. */
  readonly sockets: number;
}

export const userOf = (n: number): string => `user-${n}`;

export interface PublishRequest {
  /** Notifications, the first of which is `from`, from 0. */
  readonly from: number;
  readonly count: number;
  readonly target: Target;
  /** Deliveries that may be under way. */
  readonly window: number;
}

/** As many as a finishing statement may commit. */
export const perTurn = 100;
