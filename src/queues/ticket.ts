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

/** @throws TypeError for an id that `ticketId` did not make (somebody added a job by hand). */
export function parseTicketId(id: string): { jobId: string; generation: number } {
  const match = /^([0-9a-f-]{36})\.(\d{1,9})$/.exec(id);
  if (match?.[1] === undefined) throw new TypeError(`"${id}" is not a job of Synap`);
  return { jobId: match[1], generation: Number(match[2]) };
}

/** A ticket and the queue it belongs in: what a commit that made a job runnable hands to dispatch. */
export interface Runnable extends Ticket {
  readonly queue: string;
}
