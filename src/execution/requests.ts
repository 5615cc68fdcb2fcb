import type { Json } from '../platform/text.js';

export type RequestStatus = 'pending' | 'processing' | 'completed' | 'failed' | 'cancelled';

/** One root job of a request, as its owner sees it. */
export interface RequestJob {
  readonly eventId: string;
  readonly type: string;
  readonly status: RequestStatus;
  readonly attempts: number;
  readonly progress: { readonly percent: number; readonly message?: string } | null;
  readonly result: Json | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
}

/** GET /v1/requests/:requestId. A request with one root job shows that job's figures; with several, the sums and `jobs`. */
export interface RequestView {
  readonly requestId: string;
  readonly status: RequestStatus;
  /** 0 to 100, the mean over its jobs. */
  readonly progress: { readonly percent: number; readonly message?: string };
  readonly result: Json | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly attempts: number;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly jobs: readonly RequestJob[];
}

export interface RequestQueries {
  find(userId: string, requestId: string): Promise<RequestView | undefined>;
}
