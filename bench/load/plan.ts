/** What the HTTP load generator is told, once, before it begins. */
export interface LoadPlan {
  /** `http://127.0.0.1:3000` */
  readonly origin: string;
  readonly path: string;
  /** Each request takes the next one: many users, not one. */
  readonly tokens: readonly string[];
  /** JSON, in which each `{{id}}` is replaced by a text of its own, always of the same length. */
  readonly body: string;
  /** Kept alive, with one request in flight each. */
  readonly connections: number;
  /** The one answer that counts as success. */
  readonly status: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
  /** Absent: a closed loop, in which each connection sends again when it is answered. Else arrivals of a Poisson process. */
  readonly arrivals?: { readonly perSecond: number; readonly seed: number };
}

/** Milliseconds; in an open loop from the planned time of a request, in a closed one from its sending. */
export interface Latency {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface LoadResult {
  /** Answered with success within the measured time; in an open loop: planned within it. */
  readonly answered: number;
  readonly perSecond: number;
  readonly failed: number;
  readonly latency: Latency;
}
