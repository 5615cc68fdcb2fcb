import type { Request } from 'express';
import { SynapError } from '../platform/errors.js';

/** A trusted service, known by its API key. */
export interface Service {
  readonly id: string;
  readonly scopes: readonly string[];
}

/** What becomes known of one HTTP call while it is answered. */
export interface Call {
  /** Names this call, in the answer and in the logs; not the client's `requestId`, which names an operation. */
  readonly httpRequestId: string;
  /** Milliseconds, from a monotonic clock. */
  readonly startedAt: number;
  userId?: string;
  /** When the user's token ends, in milliseconds since the epoch; undefined where it does not. */
  tokenExpiresAt?: number | undefined;
  service?: Service;
  /** The client's operation, where the call started or read one. */
  requestId?: string;
  /** Probes and static files: neither logged nor counted against anybody. */
  isQuiet?: boolean;
  /** Lasts as long as its client likes: its duration says nothing, and its end is no failure. */
  isStream?: boolean;
  /** Its client's address, once somebody has asked for it; behind proxies it is looked for. */
  address?: string | undefined;
  /** The label of the metrics where no route of Express says it. */
  area?: string;
}

declare global {
  // Express' own place for what an application adds to its requests.
  namespace Express {
    interface Request {
      call: Call;
    }
  }
}

export function addressOfCall(req: Request): string | undefined {
  req.call.address ??= req.ip;
  return req.call.address;
}

/** The owner of everything that this call may touch. */
export function ownerOf(req: Request): string {
  const { userId } = req.call;
  if (userId === undefined) throw new SynapError('internal', `${req.path} reads the user but does not authenticate`);
  return userId;
}

/** The key in whose name this call acts: what the audit log calls the actor. */
export function actorOf(req: Request): string {
  const { service } = req.call;
  if (service === undefined) throw new SynapError('internal', `${req.path} acts but does not authenticate a service`);
  return service.id;
}
