import type { Observable, SynapClient } from '../types.js';
import { LiveStore } from './live-store.js';

/** Where hooks have their client from. Rendering asks for none, so that it connects nothing, on a server neither. */
export interface ClientSource {
  /** Made by the first call. */
  client(): SynapClient;
  /** Keeps it open. @returns what lets go */
  hold(): () => void;
}

/** A client of the page's own: it is never closed here. */
export function givenClient(client: SynapClient): ClientSource {
  return { client: () => client, hold: () => () => undefined };
}

/** Made when it is needed, closed a moment after nobody holds it any more (see LiveStore for the moment). */
export class OwnClient implements ClientSource {
  readonly #create: () => SynapClient;
  #client: SynapClient | undefined;
  #holders = 0;
  #closing: ReturnType<typeof setTimeout> | undefined;

  constructor(create: () => SynapClient) {
    this.#create = create;
  }

  client(): SynapClient {
    this.#client ??= this.#create();
    this.#closeUnlessHeld();
    return this.#client;
  }

  hold(): () => void {
    this.#holders += 1;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holders -= 1;
      this.#closeUnlessHeld();
    };
  }

  #closeUnlessHeld(): void {
    clearTimeout(this.#closing);
    this.#closing = setTimeout(() => {
      if (this.#holders > 0) return;
      this.#client?.close();
      this.#client = undefined;
    });
  }
}

/** Something that the client observes, for components: the client is held while one of them listens. */
export function observe<T>(
  source: ClientSource,
  select: (client: SynapClient) => Observable<T>,
  initial: T,
): LiveStore<T> {
  return new LiveStore(initial, (set) => {
    const letGo = source.hold();
    const observed = select(source.client());
    const stop = observed.subscribe(() => set(observed.get()));
    set(observed.get());
    return () => {
      stop();
      letGo();
    };
  });
}
