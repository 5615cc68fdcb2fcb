import type { Value } from './emitter.js';
import { isOver } from './request-state.js';
import type { RequestState, Subscription } from './types.js';

export interface RequestRoomDeps {
  readonly state: Value<RequestState>;
  /** Joins the room, from where it was left. */
  readonly join: () => Subscription;
  /** Called before it is joined. */
  readonly onWanted: () => void;
  /** Called before it is left. */
  readonly onUnwanted: () => void;
  readonly after: (delayMs: number, run: () => void) => () => void;
}

/** After its end a request that is shown stays in its room: an answer of several pages may hold an end that was replayed. */
const lingerMs = 10_000;

/** A request's room, joined while somebody wants it. */
export class RequestRoom {
  readonly #deps: RequestRoomDeps;
  #subscription: Subscription | undefined;
  /** How many want it: those who watch it, waiters, and the event that was sent, until it has ended. */
  #holders = 0;
  /** Of those who watch it: each looks whether it wants the room. */
  readonly #watchers = new Set<(hasMore: boolean) => void>();

  constructor(deps: RequestRoomDeps) {
    this.#deps = deps;
  }

  /** Whether nobody holds it, and nobody watches the request. */
  get isIdle(): boolean {
    return this.#holders + this.#watchers.size === 0;
  }

  /** When the room is heard. @throws SynapClientError where it is refused */
  get ready(): Promise<unknown> {
    return this.#subscription?.ready ?? Promise.resolve();
  }

  /** @returns what gives it up, once */
  hold(): () => void {
    this.#holders += 1;
    if (this.#holders === 1) this.#deps.onWanted();
    this.#subscription ??= this.#deps.join();
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      if ((this.#holders -= 1) > 0) return;
      this.#deps.onUnwanted();
      this.#subscription?.unsubscribe();
      this.#subscription = undefined;
    };
  }

  /** Holds it until a while after the request's end. @returns what ends it */
  watch(): () => void {
    const { state, after } = this.#deps;
    let release: (() => void) | undefined;
    let cancel: (() => void) | undefined;
    const look = (hasMore: boolean): void => {
      const isDone = isOver(state.get());
      if (!isDone || hasMore) {
        cancel?.();
        cancel = undefined;
        release ??= this.hold();
      }
      if (isDone && release !== undefined) {
        cancel ??= after(lingerMs, () => {
          release?.();
          [release, cancel] = [undefined, undefined];
        });
      }
    };
    const end = state.subscribe(() => look(false));
    this.#watchers.add(look);
    // What has ended is looked at once more: it may have been replayed since.
    look(true);
    return () => {
      end();
      this.#watchers.delete(look);
      cancel?.();
      release?.();
    };
  }

  /** There is more to hear in it than what is known: those who watch are in it again. */
  hasMore(): void {
    for (const look of this.#watchers) look(true);
  }
}
