import type { WireNotification } from '../realtime/contract.js';
import { Value } from './emitter.js';
import { closedError, type SynapClientError } from './errors.js';
import { accepted, isEnd, isOver, newRequestState, notified, progressed, refused, streamed } from './request-state.js';
import type { Observable, RequestState, RoomListeners, Start, Subscription } from './types.js';

interface Tracked {
  readonly state: Value<RequestState>;
  subscription: Subscription | undefined;
  /** How many want its room: those who watch it, waiters, and the event that was sent, until it has ended. */
  holders: number;
  /** Of those who watch it: each looks whether it wants the room. */
  readonly watchers: Set<(hasMore: boolean) => void>;
}

export interface RequestsDeps {
  readonly subscribe: (room: string, listeners: RoomListeners, start: Start) => Subscription;
  readonly after: (delayMs: number, run: () => void) => () => void;
  readonly onError: (thrown: unknown) => void;
}

/** Nobody asks for these any more; the server allows 100 rooms a connection. */
const maxIdle = 100;
const maxSent = 50;
/** So long after its end a request that is shown leaves its room: an answer of several pages may hold an end that was replayed. */
const lingerMs = 10_000;

/** The requests that somebody of this page asks after, each with a room while somebody does. */
export class Requests {
  readonly #deps: RequestsDeps;
  readonly #tracked = new Map<string, Tracked>();
  /** What ends the hold of each event that was sent; the oldest go first where there are many without an end. */
  readonly #sent = new Map<string, () => void>();
  readonly #closing = new AbortController();

  constructor(deps: RequestsDeps) {
    this.#deps = deps;
  }

  observe(requestId: string): Observable<RequestState> {
    return {
      get: () => this.#track(requestId).state.get(),
      subscribe: (listener) => {
        const tracked = this.#track(requestId);
        const end = tracked.state.subscribe(listener);
        const stop = this.#watch(requestId, tracked);
        return () => {
          end();
          stop();
        };
      },
    };
  }

  /** Heard in whatever room: a request that had ended and was replayed is in its room again while it is shown. */
  heard({ requestId, id }: WireNotification): void {
    const tracked = requestId === undefined ? undefined : this.#tracked.get(requestId);
    if (tracked === undefined || tracked.watchers.size === 0) return;
    if (tracked.state.get().notifications.some((known) => known.id === id)) return;
    for (const look of tracked.watchers) look(true);
  }

  /** Listens from before it is posted until it has ended. @returns when the room is heard */
  send(requestId: string): Promise<unknown> {
    const tracked = this.#track(requestId);
    if (!this.#sent.has(requestId)) {
      const release = this.#hold(requestId, tracked);
      const end = tracked.state.subscribe(() => isOver(tracked.state.get()) && this.#releaseSent(requestId));
      this.#sent.set(requestId, () => {
        end();
        release();
      });
      const [oldest] = this.#sent.keys();
      if (this.#sent.size > maxSent && oldest !== undefined) this.#releaseSent(oldest);
    }
    return tracked.subscription?.ready.catch(() => undefined) ?? Promise.resolve();
  }

  accepted(requestId: string): void {
    this.#change(requestId, accepted);
  }

  refused(requestId: string, { code, message }: SynapClientError): void {
    this.#change(requestId, (state) => refused(state, { code, message }));
    this.#releaseSent(requestId);
  }

  waitFor(requestId: string, signal?: AbortSignal): Promise<WireNotification> {
    const { promise, resolve, reject } = Promise.withResolvers<WireNotification>();
    const tracked = this.#track(requestId);
    const check = (): void => {
      const end = tracked.state.get().notifications.findLast(isEnd);
      if (end !== undefined) resolve(end);
    };
    const stop = [tracked.state.subscribe(check), this.#hold(requestId, tracked)];
    const aborted = () => reject(signal?.reason as Error);
    const closed = () => reject(closedError());
    signal?.addEventListener('abort', aborted);
    this.#closing.signal.addEventListener('abort', closed);
    if (signal?.aborted === true) aborted();
    if (this.#closing.signal.aborted) closed();
    tracked.subscription?.ready.catch((refusal: Error) => reject(refusal));
    check();
    return promise.finally(() => {
      for (const end of stop) end();
      signal?.removeEventListener('abort', aborted);
      this.#closing.signal.removeEventListener('abort', closed);
    });
  }

  close(): void {
    this.#closing.abort();
    this.#tracked.clear();
    this.#sent.clear();
  }

  #track(requestId: string): Tracked {
    const known = this.#tracked.get(requestId);
    if (known !== undefined) return known;
    const state = new Value(newRequestState(requestId), this.#deps.onError);
    const tracked: Tracked = { state, subscription: undefined, holders: 0, watchers: new Set() };
    this.#tracked.set(requestId, tracked);
    const idle = [...this.#tracked].filter(([, { holders, watchers }]) => holders + watchers.size === 0);
    if (idle.length > maxIdle && idle[0] !== undefined) this.#tracked.delete(idle[0][0]);
    return tracked;
  }

  /** Holds its room until a while after its end. @returns what ends it */
  #watch(requestId: string, tracked: Tracked): () => void {
    let release: (() => void) | undefined;
    let cancel: (() => void) | undefined;
    const look = (hasMore: boolean): void => {
      const isDone = isOver(tracked.state.get());
      if (!isDone || hasMore) {
        cancel?.();
        cancel = undefined;
        release ??= this.#hold(requestId, tracked);
      }
      if (isDone && release !== undefined) {
        cancel ??= this.#deps.after(lingerMs, () => {
          release?.();
          [release, cancel] = [undefined, undefined];
        });
      }
    };
    const end = tracked.state.subscribe(() => look(false));
    tracked.watchers.add(look);
    // What has ended is looked at once more: it may have been replayed since.
    look(true);
    return () => {
      end();
      tracked.watchers.delete(look);
      cancel?.();
      release?.();
    };
  }

  /** @returns what gives it up, once */
  #hold(requestId: string, tracked: Tracked): () => void {
    tracked.holders += 1;
    // It was put aside while nobody wanted it.
    this.#tracked.set(requestId, tracked);
    tracked.subscription ??= this.#deps.subscribe(
      `request_${requestId}`,
      this.#hears(requestId, tracked),
      startOf(tracked),
    );
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      tracked.holders -= 1;
      if (tracked.holders > 0) return;
      tracked.subscription?.unsubscribe();
      tracked.subscription = undefined;
    };
  }

  #hears(requestId: string, { state }: Tracked): RoomListeners {
    return {
      onNotification: (notification) => state.set(notified(state.get(), notification)),
      onProgress: (progress) => progress.requestId === requestId && state.set(progressed(state.get(), progress)),
      onText: ({ text }) => state.set(streamed(state.get(), text)),
      // What it shows begins anew with what there still is.
      onReset: (reason) =>
        reason !== 'first' && state.set({ ...newRequestState(requestId), status: state.get().status }),
    };
  }

  #change(requestId: string, change: (state: RequestState) => RequestState): void {
    const { state } = this.#track(requestId);
    state.set(change(state.get()));
  }

  #releaseSent(requestId: string): void {
    this.#sent.get(requestId)?.();
    this.#sent.delete(requestId);
  }
}

/** Goes on where it was left. */
function startOf({ state }: Tracked): Start {
  const last = state.get().notifications.at(-1);
  return last === undefined ? 'beginning' : { epoch: last.epoch, seq: last.seq };
}
