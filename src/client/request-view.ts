import type { WireNotification } from '../realtime/contract.js';

/** `GET /v1/requests/:requestId`, as much of it as is used here. */
export interface RequestView {
  readonly requestId: string;
  readonly status: 'pending' | 'processing' | 'completed' | 'failed' | 'cancelled';
  readonly progress: { readonly percent: number; readonly message?: string };
  readonly jobs: readonly RootView[];
}

/** One of the events that were accepted with it. */
export interface RootView {
  readonly eventId: string;
  readonly type: string;
  readonly status: RequestView['status'];
  readonly result: WireNotification['data'];
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly finishedAt: string | null;
}

/** Anybody between may answer 200. */
export const isRequestView = (body: unknown): boolean =>
  Array.isArray((body as Partial<RequestView> | undefined)?.jobs);
