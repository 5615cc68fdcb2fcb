import type pg from 'pg';
import { Batcher } from '../platform/batcher.js';
import { runStatement, type Statement } from '../platform/database.js';
import { fewRows } from '../platform/few-rows.js';
import { reachFaultPoint } from '../platform/fault-points.js';
import type { Json } from '../platform/text.js';
import type { SynapEvent } from '../events/synap-event.js';
import { isHeldByLiveWorker } from '../dispatch/liveness.js';

/** A job that this worker now holds. `fence` is also the attempt's number. */
export interface Claim {
  readonly kind: 'claimed';
  readonly event: SynapEvent;
  readonly fence: number;
  readonly priority: number;
  /** Failures before this attempt. */
  readonly failures: number;
  /** Starts without an outcome, this one included. */
  readonly crashes: number;
  /** What earlier attempts recorded. */
  readonly steps: ReadonlyMap<string, Json>;
}

/** What is noted of an attempt whose process ended, or was cut off, before it could say anything. */
const crashError = JSON.stringify({
  code: 'crashed',
  message: 'its process ended or was cut off during this attempt',
  reason: 'Something went wrong on our side.',
  fingerprint: 'crashed',
});

/** Starts without an outcome after which a job is only claimed by a process that runs nothing else: nobody innocent is blamed. */
const sharedCrashes = 2;

/** Why a job was not claimed, and so what its ticket in the queue is worth. */
export type Refusal =
  /** It has ended, is of another generation, or never was: the ticket may be forgotten. */
  | { readonly kind: 'obsolete' }
  /** Its time has not come. */
  | { readonly kind: 'early'; readonly runAt: number }
  /** A live worker holds it, or its row is locked: the ticket may be the only copy, so it must come back. */
  | { readonly kind: 'held' }
  /** It ended its process too often to run beside others. */
  | { readonly kind: 'isolate' };

interface Wanted {
  readonly jobId: string;
  readonly generation: number;
  /** Whether this process is running it right now. */
  readonly isInHand: boolean;
}

interface ClaimRow extends SynapEvent {
  readonly wantedId: string;
  readonly fence: number | null;
  readonly priority: number;
  readonly failures: number;
  readonly crashes: number;
  readonly steps: Record<string, Json> | null;
  readonly state: string | null;
  readonly generation: number | null;
  readonly runAt: Date | null;
  readonly isEarly: boolean | null;
  readonly isToIsolate: boolean;
}

/**
 * Claimable is what is due, or running with a holder whose heartbeat has stopped, or running here without being in hand:
 * then the answer to an earlier claim or finish was lost with its connection, and only this process can know. SKIP LOCKED, so that one frozen
 * transaction cannot hold up a batch; sorted, so that two batches cannot deadlock. The event and the recorded steps come
 * along, so that an attempt starts after one round trip. An attempt that is taken over left no outcome: it is noted as crashed.
 */
const claim: Statement = {
  name: 'jobs-claim',
  text: `
  WITH input AS MATERIALIZED (SELECT * FROM unnest($1::uuid[], $2::int[], $4::bool[]) AS i(id, generation, "isInHand") WHERE ${fewRows('i.generation')}),
  claimable AS (
    SELECT j.id, j.state, j.fence, j."workerId" FROM jobs j JOIN input i ON i.id = j.id AND i.generation = j.generation
    WHERE ($5 OR j.crashes < ${sharedCrashes} OR (j.state = 'running' AND j."workerId" = $3))
      AND j."isReleased"
      AND ((j.state IN ('scheduled', 'queued') AND j."runAt" <= now())
        OR (j.state = 'running' AND j."workerId" = $3 AND NOT i."isInHand")
        OR (j.state = 'running' AND NOT ${isHeldByLiveWorker('j')}))
    ORDER BY j.id FOR UPDATE OF j SKIP LOCKED
  ),
  crashed AS (
    INSERT INTO failed_attempts ("jobId", attempt, "workerId", error)
    SELECT id, fence, "workerId", '${crashError}'::jsonb FROM claimable WHERE state = 'running' AND "workerId" <> $3
    ON CONFLICT DO NOTHING
  ),
  claimed AS (
    UPDATE jobs j SET state = 'running', "workerId" = $3, fence = j.fence + 1, 
                      crashes = j.crashes + (c.state <> 'running' OR c."workerId" <> $3)::int, "startedAt" = COALESCE(j."startedAt", now())
    FROM claimable c WHERE j.id = c.id
    RETURNING j.id, j.fence, j.priority, j.failures, j.crashes
  )
  SELECT i.id AS "wantedId", c.fence, c.priority, c.failures, c.crashes,
         (SELECT json_object_agg(s.name, s.output) FROM steps s WHERE c.fence > 1 AND s."jobId" = c.id) AS steps,
         j.state, j.generation, j."runAt", j."runAt" > now() AS "isEarly",
         NOT $5 AND j.crashes >= ${sharedCrashes} AND (j.state <> 'running' OR NOT ${isHeldByLiveWorker('j')}) AS "isToIsolate",
         e.id, e.type, e."aggregateId", e."aggregateType", e."userId", COALESCE(j.correction, e.data) AS data, e.timestamp,
         e.version, e.source, e."causationId", e."correlationId", e."requestId"
  FROM input i
  LEFT JOIN claimed c ON c.id = i.id
  LEFT JOIN jobs j ON j.id = i.id
  LEFT JOIN events e ON e.id = c.id`,
};

export interface ClaimsOptions {
  readonly pool: pg.Pool;
  readonly workerId: string;
  /** Whether this process runs one job alone, and so may take those that ended their processes. */
  readonly isIsolated?: boolean;
}

/** Takes jobs for this worker, in batches. */
export class Claims {
  readonly #pool: pg.Pool;
  readonly #workerId: string;
  readonly #isIsolated: boolean;
  readonly #batcher: Batcher<Wanted, Claim | Refusal>;
  /** Jobs that are being claimed or run in this process, with how many tickets. */
  readonly #inHand = new Map<string, number>();

  constructor({ pool, workerId, isIsolated = false }: ClaimsOptions) {
    this.#pool = pool;
    this.#workerId = workerId;
    this.#isIsolated = isIsolated;
    this.#batcher = new Batcher({ run: (wanted) => this.#claim(wanted) });
  }

  /**
   * What is claimed stays in hand until `release`.
   * @throws SynapError `unavailable`
   */
  async claim(jobId: string, generation: number): Promise<Claim | Refusal> {
    const tickets = this.#inHand.get(jobId) ?? 0;
    this.#inHand.set(jobId, tickets + 1);
    let answer: Claim | Refusal | undefined;
    try {
      answer = await this.#batcher.add({ jobId, generation, isInHand: tickets > 0 });
      return answer;
    } finally {
      if (answer?.kind !== 'claimed') this.release(jobId);
    }
  }

  /** The attempt is over, whatever Postgres knows of its end. */
  release(jobId: string): void {
    const tickets = (this.#inHand.get(jobId) ?? 1) - 1;
    if (tickets === 0) this.#inHand.delete(jobId);
    else this.#inHand.set(jobId, tickets);
  }

  /** The same job twice in one batch is one claim: the second caller finds it held, as in two batches. */
  async #claim(wanted: readonly Wanted[]): Promise<(Claim | Refusal)[]> {
    const newest = new Map<string, Wanted>();
    for (const want of wanted) {
      if (want.generation > (newest.get(want.jobId)?.generation ?? 0)) newest.set(want.jobId, want);
    }
    const asked = [...newest.values()];
    const rows = await runStatement<ClaimRow>(this.#pool, claim, [
      asked.map(({ jobId }) => jobId),
      asked.map(({ generation }) => generation),
      this.#workerId,
      asked.map(({ isInHand }) => isInHand),
      this.#isIsolated,
    ]);
    if (rows.some(({ fence }) => fence !== null)) reachFaultPoint('claim.committed');
    const answers = new Map(rows.map((row) => [row.wantedId, row]));
    return wanted.map(({ jobId, generation }): Claim | Refusal => {
      if (newest.get(jobId)?.generation !== generation) return { kind: 'obsolete' };
      const row = answers.get(jobId);
      if (row === undefined) return { kind: 'held' };
      answers.delete(jobId);
      return row.fence === null ? toRefusal(row, generation) : toClaim(row, row.fence);
    });
  }
}

function toRefusal(row: ClaimRow, generation: number): Refusal {
  const isUnfinished = row.state === 'scheduled' || row.state === 'queued' || row.state === 'running';
  if (!isUnfinished || row.generation !== generation) return { kind: 'obsolete' };
  if (row.state !== 'running' && row.isEarly === true && row.runAt !== null)
    return { kind: 'early', runAt: row.runAt.getTime() };
  return { kind: row.isToIsolate ? 'isolate' : 'held' };
}

function toClaim({ wantedId: _wanted, fence: _fence, ...row }: ClaimRow, fence: number): Claim {
  const {
    priority,
    failures,
    crashes,
    steps,
    state: _s,
    generation: _g,
    runAt: _r,
    isEarly: _e,
    isToIsolate: _i,
    ...event
  } = row;
  return { kind: 'claimed', event, fence, priority, failures, crashes, steps: new Map(Object.entries(steps ?? {})) };
}
