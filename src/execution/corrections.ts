import type { EventCatalogue } from '../events/catalogue.js';
import { recordAct } from '../platform/audit.js';
import type { Database } from '../platform/database.js';
import { SynapError, type Fault } from '../platform/errors.js';
import { toFaults } from '../platform/faults.js';
import { findUnstorable, type Json } from '../platform/text.js';
import { lockJob, reachable } from './administration.js';
import { noteInHistory } from './dead-letter-acts.js';

export interface CorrectionsDeps {
  readonly database: Pick<Database, 'sql'>;
  readonly catalogue: EventCatalogue;
}

/**
 * What a dead job's next attempts get in the place of their event's data. The event itself is a fact that others have read, so it
 * stays as it is.
 */
export class Corrections {
  readonly #deps: CorrectionsDeps;

  constructor(deps: CorrectionsDeps) {
    this.#deps = deps;
  }

  /**
   * Kept until it is replaced or, by null, removed.
   * @returns what is kept: with the defaults of the type's schema filled in
   * @throws SynapError validation_failed with every fault, not_found, job_expired, job_state_conflict (it is not dead), unavailable
   */
  set(jobId: string, data: unknown, { actor }: { readonly actor: string }): Promise<Json> {
    const { database, catalogue } = this.#deps;
    return reachable(
      database.sql.transaction().execute(async (tx) => {
        const job = await lockJob(tx, jobId, { actor }, ['dead']);
        const correction = data === null ? null : validate(catalogue, job, data);
        const text = correction === null ? null : JSON.stringify(correction);
        await tx.updateTable('jobs').set({ correction: text }).where('id', '=', jobId).execute();
        const action = correction === null ? 'correction_removed' : 'corrected';
        await noteInHistory(tx, jobId, { actor, action });
        await recordAct(tx, { actor, action: `job.${action}`, target: jobId });
        return correction;
      }),
    );
  }
}

function validate(
  catalogue: EventCatalogue,
  { queue, aggregateId }: { readonly queue: string; readonly aggregateId: string },
  data: unknown,
): Json {
  const definition = catalogue.get(queue);
  if (definition === undefined) {
    throw new SynapError('unknown_event_type', `"${queue}" is not in the catalogue`, {
      publicMessage: `This version does not know "${queue}" any more.`,
    });
  }
  const parsed = definition.data.safeParse(data);
  if (!parsed.success) throw invalid(toFaults(parsed.error, 'data'));
  const correction = parsed.data as Json;
  const bad = findUnstorable(correction, 'data');
  if (bad !== undefined) {
    throw invalid([{ path: bad, message: 'contains U+0000 or a lone surrogate, which cannot be stored' }]);
  }
  const named = definition.aggregateIdOf?.(correction);
  if (named !== undefined && named !== aggregateId) {
    throw invalid([{ path: 'data', message: `must still be about ${aggregateId}, as the event is, and not ${named}` }]);
  }
  return correction;
}

function invalid(faults: readonly Fault[]): SynapError {
  const message = faults.map((fault) => `${fault.path}: ${fault.message}`).join('; ');
  return new SynapError('validation_failed', message, { faults });
}
