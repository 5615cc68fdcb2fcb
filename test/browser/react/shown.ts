/** What a test mounts, and sees of it. All of it is in strict mode, in React's development build. */
export interface Harness {
  mount(shown: Shown): void;
  unmount(): void;
  /** Sends through the mounted component's own hook. @returns the request id */
  send(type: string, data: unknown): string;
  markSeen(): Promise<void>;
  loadMore(): Promise<void>;
  /** What each mounted component has at the moment, by its name. */
  seen: Record<string, unknown>;
  /** What callbacks were called with, each with the number of the render that they are of. */
  calls: { readonly name: string; readonly version: number; readonly value?: unknown }[];
}

export type Shown = { readonly token: string; readonly shared?: boolean } & (
  | {
      readonly what: 'realtime';
      readonly userId: string;
      readonly requestId?: string;
      readonly own?: boolean;
      readonly version?: number;
      readonly only?: string;
    }
  | { readonly what: 'request'; readonly requestId: string | undefined }
  | { readonly what: 'notifications'; readonly limit: number }
  | { readonly what: 'nothing' }
);
