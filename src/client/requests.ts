import type { WireNotification } from '../realtime/contract.js';
import { Value } from './emitter.js';
import { closedError, type SynapClientError } from './errors.js';
import type { TryLater } from './http.js';
import type { Unsent } from './kept-events.js';
import { RequestQuestion } from './request-question.js';
import { RequestRoom } from './request-room.js';
import { RequestRoots } from './request-roots.js';
import {
  accepted,
  ended,
  isOver,
  newRequestState,
  notified,
  progressed,
  refused,
  streamed,
  told,
  underWay,
} from './request-state.js';
import type { RequestView } from './request-view.js';
import type { Observable, RequestEnd, RequestState, RoomListeners, Start, Subscription } from './types.js';

interface Tracked {
  readonly state: Value<RequestState>;
  readonly roots: RequestRoots;
  /** What `state` shows as its end. */
  end: RequestEnd | undefined;
  /** Events of this page that are or were being posted, with their ids, which are known with the user. */
  readonly posted: Map<Unsent, string | undefined>;
  readonly question: RequestQuestion;
  readonly room: RequestRoom;
}

export interface RequestsDeps {
  readonly subscribe: (room: string, listeners: RoomListeners, start: Start) => Subscription;
  /** How the server says that it stands. @throws SynapClientError where it is refused; 404 where there is none */
  readonly ask: (requestId: string) => Promise<RequestView | TryLater>;
  /** Once the user is known, as they are when anything is heard. */
  readonly idOf: (event: Unsent) => string;
  readonly after: (delayMs: number, run: () => void) => () => void;
  readonly random: () => number;
  readonly onError: (thrown: unknown) => void;
}

/** Nobody asks for these any more. */
const maxIdle = 100;
const maxSent = 50;

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
        const stop = tracked.room.watch();
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
    if (tracked === undefined || tracked.state.get().notifications.some((known) => known.id === id)) return;
    tracked.room.hasMore();
  }

  /**
   * Listens from before it is posted until it has ended.
   * @param posted the event, when it is about to be posted
   * @returns when the room is heard
   */
  send(requestId: string, posted?: Unsent): Promise<unknown> {
    const tracked = this.#track(requestId);
    if (posted) tracked.posted.set(posted, undefined);
    if (!this.#sent.has(requestId)) {
      const release = tracked.room.hold();
      const end = tracked.state.subscribe(() => isOver(tracked.state.get()) && this.#releaseSent(requestId));
      this.#sent.set(requestId, () => {
        end();
        release();
      });
      const [oldest] = this.#sent.keys();
      if (this.#sent.size > maxSent && oldest !== undefined) this.#releaseSent(oldest);
    }
    return tracked.room.ready.catch(() => undefined);
  }

  accepted({ requestId }: Unsent): void {
    const tracked = this.#track(requestId);
    this.#know(tracked);
    this.#settle(tracked, accepted);
  }

  refused(event: Unsent, { code, message }: SynapClientError): void {
    const { requestId } = event;
    const tracked = this.#track(requestId);
    const id = tracked.posted.get(event);
    if (id !== undefined) tracked.roots.remove(id);
    tracked.posted.delete(event);
    this.#settle(tracked, (state) => refused(state, { code, message }));
    this.#releaseSent(requestId);
  }

  /** There is a connection: what could not be asked is asked again. */
  connected(): void {
    for (const { question } of this.#tracked.values()) question.hurry();
  }

  waitFor(requestId: string, signal?: AbortSignal): Promise<RequestEnd> {
    const { promise, resolve, reject } = Promise.withResolvers<RequestEnd>();
    const tracked = this.#track(requestId);
    const check = (): void => {
      if (tracked.end !== undefined) resolve(tracked.end);
    };
    const stop = [tracked.state.subscribe(check), tracked.room.hold()];
    const aborted = () => reject(signal?.reason as Error);
    const closed = () => reject(closedError());
    signal?.addEventListener('abort', aborted);
    this.#closing.signal.addEventListener('abort', closed);
    if (signal?.aborted === true) aborted();
    if (this.#closing.signal.aborted) closed();
    tracked.room.ready.catch((refusal: Error) => reject(refusal));
    check();
    return promise.finally(() => {
      for (const end of stop) end();
      signal?.removeEventListener('abort', aborted);
      this.#closing.signal.removeEventListener('abort', closed);
    });
  }

  close(): void {
    this.#closing.abort();
    for (const { question } of this.#tracked.values()) question.stop();
    this.#tracked.clear();
    this.#sent.clear();
  }

  #track(requestId: string): Tracked {
    const known = this.#tracked.get(requestId);
    if (known !== undefined) return known;
    const state = new Value(newRequestState(requestId), this.#deps.onError);
    const tracked: Tracked = {
      state,
      roots: new RequestRoots(),
      end: undefined,
      posted: new Map(),
      question: this.#questionOf(requestId, () => tracked),
      room: this.#roomOf(requestId, state, () => tracked),
    };
    this.#tracked.set(requestId, tracked);
    const idle = [...this.#tracked].filter(([, { room }]) => room.isIdle);
    if (idle.length > maxIdle && idle[0] !== undefined) this.#tracked.delete(idle[0][0]);
    return tracked;
  }

  #roomOf(requestId: string, state: Value<RequestState>, get: () => Tracked): RequestRoom {
    const { subscribe, after } = this.#deps;
    return new RequestRoom({
      ...{ state, after },
      join: () => subscribe(`request_${requestId}`, this.#hears(requestId, get()), startOf(get())),
      onWanted: () => {
        get().question.resume();
        // It was put aside while nobody wanted it.
        this.#tracked.set(requestId, get());
      },
      onUnwanted: () => get().question.stop(),
    });
  }

  #hears(requestId: string, tracked: Tracked): RoomListeners {
    const { state, roots, question } = tracked;
    return {
      onNotification: (notification) => {
        this.#know(tracked);
        roots.heard(notification);
        this.#settle(tracked, (shown) => notified(shown, notification, roots.end));
        if (roots.isUnclear) question.want();
      },
      onProgress: (progress) => progress.requestId === requestId && state.set(progressed(state.get(), progress)),
      onText: ({ text }) => state.set(streamed(state.get(), text)),
      onReset: (reason) => {
        // One that this page has just posted began with it.
        if (reason === 'first') return question.wantInAWhile(() => tracked.posted.size + roots.size === 0);
        // What it shows begins anew with what there still is, and with what the server says.
        roots.lost();
        tracked.end = undefined;
        state.set({ ...newRequestState(requestId), status: state.get().status });
        question.again();
      },
    };
  }

  #questionOf(requestId: string, get: () => Tracked): RequestQuestion {
    const { ask, after, random, onError } = this.#deps;
    return new RequestQuestion({
      ...{ after, random, onError },
      ask: () => ask(requestId),
      onAsking: () => get().roots.asking(),
      onAnswer: (view) => {
        const tracked = get();
        this.#know(tracked);
        tracked.roots.told(view);
        this.#settle(tracked, (state) => (tracked.roots.end === undefined ? told(state, view) : state));
        if (tracked.roots.isUnclear) tracked.question.want();
      },
      onMissing: () => {
        const tracked = get();
        tracked.roots.forgotten();
        this.#settle(tracked, (state) => state);
      },
    });
  }

  /** Anything that is heard was heard with a token, so the ids are known by now. */
  #know({ roots, posted }: Tracked): void {
    for (const [event, id] of posted) {
      if (id !== undefined) continue;
      const known = this.#deps.idOf(event);
      posted.set(event, known);
      roots.add(known);
    }
  }

  /** Shows a change, and with it what the roots have come to; listeners hear of both at once. */
  #settle(tracked: Tracked, change: (state: RequestState) => RequestState): void {
    const { state, roots } = tracked;
    const { end } = roots;
    const next = change(state.get());
    const isNews = end !== tracked.end;
    tracked.end = end;
    if (!isNews) state.set(next);
    else state.set(end === undefined ? underWay(next) : ended(next, end));
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
