import type { Environment } from './environment.js';
import type { OpenSession, Session, SessionEnd, SessionListener } from './session.js';
import type { SynapClientOptions } from './types.js';

/** After so many failures in a row, an attempt whose socket fails goes on with a stream; after one where streams are the way. */
const socketTries = 3;
const socketTriesOnStreams = 1;
/** How long a stream goes on before a socket is tried beside it; doubled with each that fails. */
const soonestProbeMs = 5_000;
const latestProbeMs = 300_000;
/** A socket that lasts so long has come through. */
const steadyMs = 5_000;
/** One that ends sooner was let through, and then not. */
const briefMs = 1_000;

/** Which way to the server the next attempt takes. */
export interface Transports {
  /** @param failures of attempts, in a row */
  open(failures: number): OpenSession;
}

export interface TransportDeps {
  readonly socket: OpenSession;
  readonly stream: OpenSession;
  readonly environment: Environment;
}

export function chooseTransports(which: SynapClientOptions['transport'], deps: TransportDeps): Transports {
  if (which === 'socket') return { open: () => deps.socket };
  if (which === 'stream') return { open: () => deps.stream };
  return new PreferSockets(deps);
}

/**
 * Sockets; a stream where a socket has just failed and HTTP then works, and only until a socket comes through beside it.
 *
 *     socket ─ failed, again and again ▸ socket, and at once after it a stream
 *     stream ─ 5 s, 10 s … 300 s ▸ a socket beside it ─ opened ▸ socket
 */
class PreferSockets implements Transports {
  readonly #deps: TransportDeps;
  #tries = socketTries;
  #probeMs = soonestProbeMs;
  /** The last socket opened, and was dropped at once: the next attempt does without. */
  #wasDropped = false;

  constructor(deps: TransportDeps) {
    this.#deps = deps;
  }

  open(failures: number): OpenSession {
    if (failures < this.#tries) return this.#socket;
    return (token, listener) => {
      const both = new Handover(listener);
      const fallBack = () => both.use((heard) => this.#stream(token, heard));
      if (this.#wasDropped) fallBack();
      else both.use((heard) => this.#socket(token, heard), fallBack);
      this.#wasDropped = false;
      return both;
    };
  }

  readonly #socket: OpenSession = (token, listener) => {
    const { now, after } = this.#deps.environment;
    let openedAt: number | undefined;
    let cancel = () => {};
    const session = this.#deps.socket(token, {
      ...listener,
      onOpen: () => {
        openedAt = now();
        cancel = after(steadyMs, () => this.#socketsComeThrough());
        listener.onOpen();
      },
      onEnd: (end) => {
        cancel();
        this.#wasDropped = openedAt !== undefined && now() - openedAt < briefMs && end.code === undefined;
        listener.onEnd(end);
      },
    });
    return closing(session, () => cancel());
  };

  #socketsComeThrough(): void {
    this.#tries = socketTries;
    this.#probeMs = soonestProbeMs;
    this.#wasDropped = false;
  }

  readonly #stream: OpenSession = (token, listener) => {
    let stop = () => {};
    const session: Session = this.#deps.stream(token, {
      ...listener,
      onOpen: () => {
        this.#tries = socketTriesOnStreams;
        stop = this.#probe(token, () => {
          session.close();
          listener.onEnd({ code: undefined, message: 'sockets come through again' });
        });
        listener.onOpen();
      },
      onEnd: (end) => {
        stop();
        listener.onEnd(end);
      },
    });
    return closing(session, () => stop());
  };

  /** Opens a socket now and then, until one opens. @returns what ends it */
  #probe(token: string, onThrough: () => void): () => void {
    const { environment, socket } = this.#deps;
    let stop = environment.after(this.#probeMs, () => {
      this.#probeMs = Math.min(latestProbeMs, this.#probeMs * 2);
      const probe: Session = socket(token, {
        ...deaf,
        onOpen: () => {
          probe.close();
          onThrough();
        },
        onEnd: () => {
          stop = this.#probe(token, onThrough);
        },
      });
      stop = () => probe.close();
    });
    return () => stop();
  }
}

const nothing = () => {};
const deaf: SessionListener = {
  ...{ onOpen: nothing, onReady: nothing, onCheck: nothing, onClosing: nothing, onEnd: nothing },
  ...{ onNotifications: nothing, onProgress: nothing, onDelta: nothing, onPong: nothing },
};

/** A session that another may follow before it has opened; whoever has it sees one. */
class Handover implements Session {
  readonly #listener: SessionListener;
  #session: Session | undefined;
  #isClosed = false;

  constructor(listener: SessionListener) {
    this.#listener = listener;
  }

  readonly call: Session['call'] = (name, message) => this.#current.call(name, message);
  readonly tell: Session['tell'] = (name, message) => this.#current.tell(name, message);

  close(): void {
    this.#isClosed = true;
    this.#session?.close();
  }

  /** @param next where it never opens, and the server did not say why */
  use(open: (listener: SessionListener) => Session, next?: () => void): void {
    const listener = this.#listener;
    let isOpen = false;
    const session = open({
      ...listener,
      onOpen() {
        isOpen = true;
        listener.onOpen();
      },
      onEnd: (end: SessionEnd) => {
        if (next === undefined || isOpen || end.code !== undefined) listener.onEnd(end);
        else if (!this.#isClosed) next();
      },
    });
    this.#session = session;
  }

  get #current(): Session {
    if (this.#session === undefined) throw new Error('a session was used before it was opened');
    return this.#session;
  }
}

function closing(session: Session, before: () => void): Session {
  return {
    call: session.call,
    tell: session.tell,
    close() {
      before();
      session.close();
    },
  };
}
