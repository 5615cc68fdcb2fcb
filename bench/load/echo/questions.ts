// What the echo generator is asked. It is one process, so that a latency is the difference of one clock's readings.

/** Answered when each token has its socket. */
export interface Connect {
  readonly postUrl: string;
  readonly socketUrl: string;
  readonly tokens: readonly string[];
}

/** Arrivals as planned, whatever becomes of those before. Answered with `EchoResult`. */
export interface Open {
  readonly rate: number;
  readonly seconds: number;
  readonly seed: number;
}

/** So many events, so many of them under way at a time. Answered with `EchoResult`. */
export interface Closed {
  readonly total: number;
  readonly atOnce: number;
}

export interface EchoResult {
  readonly sent: number;
  readonly refused: number;
  /** Accepted, and no notification came. */
  readonly lost: number;
  readonly repeated: number;
  /** Under way when the last one was due. */
  readonly backlog: number;
  /** From the first arrival to the last notification. */
  readonly seconds: number;
  /** From the planned arrival to the notification in the client's hands, microseconds. */
  readonly latenciesUs: readonly number[];
  /** From the planned arrival to the 202. */
  readonly acceptsUs: readonly number[];
}
