import type { ConnectionState } from '../../../src/client/types.js';
import type { Kind } from '../plan.ts';

/** What a device writes down. Times are milliseconds since the epoch, with fractions. */
export type Heard =
  | {
      readonly device: number;
      readonly what: 'applied';
      readonly room: string;
      readonly epoch: string;
      readonly seq: number;
      readonly id: string;
      readonly at: number;
      /** Which connection of a device that does not resume. */
      readonly connection?: number;
    }
  /** From the client as a whole: once, though it went to two rooms. */
  | { readonly device: number; readonly what: 'told'; readonly id: string; readonly at: number }
  | { readonly device: number; readonly what: 'state'; readonly state: ConnectionState; readonly at: number }
  | {
      readonly device: number;
      readonly what: 'reset';
      readonly room: string;
      readonly reason: string;
      readonly at: number;
    }
  | { readonly device: number; readonly what: 'error'; readonly message: string; readonly at: number };

type Omitted<T> = T extends unknown ? Omit<T, 'device' | 'at'> : never;
export type Write = (entry: Omitted<Heard>) => void;

export interface ReaderDevice {
  readonly index: number;
  readonly kind: Kind;
  readonly userId: string;
  readonly url: string;
  readonly token: string;
  readonly rooms: readonly { readonly name: string; readonly fromMs: number }[];
}

/** The first message of the supervisor. */
export interface ReadersSpec {
  readonly log: string;
  readonly devices: readonly ReaderDevice[];
}

/** A device that runs. */
export interface Reader {
  /** Subscribes to what is due later; the traffic begins now. */
  begin(): void;
  readonly isConnected: boolean;
  /** The newest that was applied of each room; only of devices that resume. */
  heads(): Record<string, number>;
  close(): void;
}

/** What the readers answer when they are asked how far they are. */
export interface Progress {
  readonly connected: number;
  readonly heads: Record<number, Record<string, number>>;
}
