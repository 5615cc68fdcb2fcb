/** What lies in a queue: enough for an operator to recognise the job, never the payload (that is read from Postgres). */
export interface TicketData {
  readonly eventId: string;
  readonly type: string;
  readonly userId: string;
  readonly requestId: string;
  readonly correlationId: string;
}

export interface Ticket {
  readonly jobId: string;
  /** Counts the job's dispatches; part of the id in the queue, because an id that is still kept there is never run again. */
  readonly generation: number;
  readonly priority: number;
  /** Milliseconds since the epoch. */
  readonly runAt: number;
  readonly data: TicketData;
}

/** `<jobId>.<generation>` */
export const ticketId = (jobId: string, generation: number): string => `${jobId}.${generation}`;

export interface TicketParts {
  readonly jobId: string;
  readonly generation: number;
}

/** @returns undefined for an id that `ticketId` did not make: somebody added a job by hand. */
export function findTicket(id: string): TicketParts | undefined {
  const match = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(\d{1,9})$/.exec(id);
  return match?.[1] === undefined ? undefined : { jobId: match[1], generation: Number(match[2]) };
}

/** @throws TypeError where `findTicket` finds none. */
export function parseTicketId(id: string): TicketParts {
  const found = findTicket(id);
  if (found === undefined) throw new TypeError(`"${id}" is not a job of Synap`);
  return found;
}

/** A ticket and the queue it belongs in: what a commit that made a job runnable hands to dispatch. */
export interface Runnable extends Ticket {
  readonly queue: string;
}
