/** What the load generator is told: one round against one Synap. */
export interface LoadPlan {
  readonly seed: number;
  readonly apiUrl: string;
  readonly realtimeUrl: string;
  /** Who connects and posts, with their tokens. */
  readonly users: readonly { readonly id: string; readonly token: string }[];
  readonly ratePerSecond: number;
  /** Of high priority, to the queue that has the backlog. */
  readonly highPerSecond: number;
  readonly warmUpMs: number;
  readonly measuredMs: number;
  readonly acceptConnections: number;
  readonly acceptMs: number;
  /** Jobs that are posted at once, in batches, for jobs/s. */
  readonly jobs: number;
}

export interface Latency {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export interface LoadResult {
  /** All in ms from the planned arrival, never from the send. */
  readonly accept: Latency;
  readonly notification: Latency;
  readonly highNotification: Latency;
  /** The events of the measured window, whose jobs the database can be asked about. */
  readonly eventIds: readonly string[];
  readonly acceptsPerSecond: number;
  readonly accepts: number;
  readonly jobIds: readonly string[];
}
