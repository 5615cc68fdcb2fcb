import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../platform/clock.js';
import type { Metrics } from '../../platform/metrics.js';
import { clientAddress, type TrustProxy } from './client-address.js';
import { ConnectionCounts } from './connection-counts.js';
import type { RealtimeConnection } from '../io.js';
import { refuseUpgrade } from './refused-upgrade.js';

export interface GateOptions {
  readonly allowedOrigins: readonly string[];
  readonly trustProxy: TrustProxy;
  readonly perAddress: number;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

type Refusal = 'draining' | 'origin_not_allowed' | 'too_many_connections';

/** Who may knock: decided on the HTTP request, before anything is kept for the connection. */
export class Gate {
  readonly #options: GateOptions;
  readonly #allowed: ReadonlySet<string>;
  readonly #addressOf: (request: IncomingMessage) => string;
  readonly #addresses: ConnectionCounts;
  #isDraining = false;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#allowed = new Set(options.allowedOrigins);
    this.#addressOf = clientAddress(options.trustProxy);
    this.#addresses = new ConnectionCounts(options.perAddress);
  }

  /** From now on nobody new. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Engine.IO's allowRequest: 403 with the reason as its message, for both transports. */
  readonly allow = (
    request: IncomingMessage,
    decide: (reason: string | null | undefined, isAllowed: boolean) => void,
  ): void => {
    const refusal = this.#refusal(request);
    if (refusal === undefined) return decide(null, true);
    this.#options.metrics.websocketConnectionsRefused.inc({ reason: refusal });
    if (request.headers.upgrade === undefined) return decide(refusal, false);
    // Engine.IO would say 400, as if the client had made a mistake in the protocol.
    refuseUpgrade(request.socket, '403 Forbidden', refusal, this.#options.clock);
  };

  /** Counts a connection that was let in, and ends it where others were faster. */
  admit(connection: RealtimeConnection): void {
    const release = this.take(connection.request);
    if (release !== undefined) {
      connection.on('close', release);
      return;
    }
    this.#options.metrics.websocketConnectionsRefused.inc({ reason: 'too_many_connections' });
    connection.close(true);
  }

  /** A place of the request's address, for whatever way to listen. @returns what gives it back; undefined where there is none left */
  take(request: IncomingMessage): (() => void) | undefined {
    return this.#addresses.take(this.#addressOf(request));
  }

  #refusal(request: IncomingMessage): Refusal | undefined {
    if (this.#isDraining) return 'draining';
    if (!this.#isOriginAllowed(request)) return 'origin_not_allowed';
    return this.#addresses.isFull(this.#addressOf(request)) ? 'too_many_connections' : undefined;
  }

  /** Pages of other sites must not connect in the name of who looks at them. What is no browser sends no origin. */
  #isOriginAllowed({ headers }: IncomingMessage): boolean {
    const { origin, host } = headers;
    if (origin === undefined || this.#allowed.has(origin)) return true;
    return host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase();
  }
}
