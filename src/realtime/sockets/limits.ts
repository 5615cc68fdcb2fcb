import type { BucketRule } from './token-bucket.js';

/** How much one client may take, per process. */
export interface SocketLimits {
  readonly perUser: number;
  readonly perAddress: number;
  /** Rooms that one socket may be in, beside its user's. */
  readonly subscriptions: number;
  /** A client that comes back subscribes to all of its rooms at once. */
  readonly messages: BucketRule;
  /** Where more than this waits unsent for one client and does not become less, it is cut. */
  readonly bufferBytes: number;
}

export const defaultLimits: SocketLimits = {
  perUser: 50,
  perAddress: 1_000,
  subscriptions: 100,
  messages: { burst: 250, perSecond: 50 },
  bufferBytes: 1024 * 1024,
};
