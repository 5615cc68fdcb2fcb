/**
 * Places where a process may die with something half said. A test arms one of them, in a process of its own, and sees what
 * the others make of it (test/faults); without that, reaching one is a comparison with undefined.
 */
export type FaultPoint =
  /** An event is committed; its 202 is not sent. */
  | 'append.committed'
  /** The fast path has added to the queue; the outbox rows are still there. */
  | 'fast-path.enqueued'
  /** The dispatcher holds a lease; nothing is in the queue. */
  | 'dispatcher.leased'
  | 'dispatcher.enqueued'
  | 'claim.committed'
  /** Around the outside effect of a step, before it is recorded. */
  | 'step.starting'
  | 'step.acted'
  | 'step.recorded'
  | 'step.committed'
  | 'finish.starting'
  /** State, events and notifications are committed; nothing is published, and the queue knows nothing. */
  | 'finish.committed'
  | 'finish.dead-committed'
  /** Published; the queue still has the ticket as active. */
  | 'finish.published'
  | 'publish.starting'
  | 'publish.published'
  | 'replay.committed'
  | 'cancel.committed'
  | 'reconciler.found'
  | 'reconciler.dispatched'
  | 'generation.dispatched'
  | 'dead-workers.dispatched'
  | 'lane.ended'
  | 'schedule.appended'
  | 'bulk.acted'
  | 'retention.deleted'
  | 'close.draining';

/** What happens there: `kill` is SIGKILL, `stop` SIGSTOP (somebody else continues the process), `throw` an error. */
export type FaultAction = 'kill' | 'stop' | 'throw';

export interface ArmedFault {
  readonly point: FaultPoint;
  readonly action: FaultAction;
  /** The how manieth time the point is reached, counted from 1. */
  readonly nth: number;
}

let armed: ArmedFault | undefined;
let reached = 0;

/** @param fault undefined disarms. */
export function armFault(fault: ArmedFault | undefined): void {
  armed = fault;
  reached = 0;
}

/** @throws Error where the point is armed to throw. */
export function reachFaultPoint(point: FaultPoint): void {
  if (armed?.point === point && ++reached === armed.nth) actFault(armed);
}

function actFault({ point, action }: ArmedFault): void {
  switch (action) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL');
      break;
    case 'stop':
      process.kill(process.pid, 'SIGSTOP');
      break;
    case 'throw':
      throw new Error(`fault point ${point}`);
  }
}

/** `finish.committed:kill` or `finish.committed:stop@3`; undefined where the text is not of that form. */
export function parseFault(text: string): ArmedFault | undefined {
  const match = /^([a-z.-]+):(kill|stop|throw)(?:@([1-9]\d{0,5}))?$/.exec(text);
  if (match === null) return undefined;
  return { point: match[1] as FaultPoint, action: match[2] as FaultAction, nth: Number(match[3] ?? 1) };
}
