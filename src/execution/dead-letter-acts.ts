import { sql } from 'kysely';
import type { Sql } from '../platform/database.js';
import { SynapError } from '../platform/errors.js';

/** What has died this often after a replay dies of something that replaying does not cure. */
const maxReplays = 5;

export interface ReplayCheck {
  /** Whether it may be replayed more than `maxReplays` times. */
  readonly force: boolean;
  /** A discarded one may still be replayed, but only by who names it. */
  readonly onlyOpen: boolean;
}

/** @throws SynapError job_state_conflict, replay_limit_reached; its row is locked until the transaction ends. */
export async function lockForReplay(tx: Sql, jobId: string, { force, onlyOpen }: ReplayCheck): Promise<void> {
  const letter = await tx
    .selectFrom('dead_letters')
    .select(['state', 'replays'])
    .where('jobId', '=', jobId)
    .forUpdate()
    .executeTakeFirst();
  if (letter === undefined || letter.state === 'replayed' || (onlyOpen && letter.state !== 'open')) {
    throw conflict(`job ${jobId} has no dead letter to replay`, 'This job has no dead letter that is open.');
  }
  if (letter.replays >= maxReplays && !force) {
    throw new SynapError('replay_limit_reached', `job ${jobId} was replayed ${letter.replays} times`, {
      publicMessage: `This job has been replayed ${letter.replays} times and died each time. With force it runs again all the same.`,
    });
  }
}

interface Noted {
  readonly actor: string;
  readonly [detail: string]: string | number | undefined;
}

/** @returns false where there is none in a state that allows it. */
export async function closeDeadLetter(
  tx: Sql,
  jobId: string,
  state: 'replayed' | 'discarded',
  noted: Noted,
): Promise<boolean> {
  const closed = await tx
    .updateTable('dead_letters')
    .set({
      state,
      resolvedAt: sql<Date>`now()`,
      history: appended({ ...noted, action: state }),
      ...(state === 'replayed' && { replays: sql<number>`replays + 1` }),
    })
    .where('jobId', '=', jobId)
    .where('state', 'in', state === 'replayed' ? ['open', 'discarded'] : ['open'])
    .executeTakeFirst();
  return closed.numUpdatedRows > 0n;
}

/** What an operator did, as the last entry of the history. */
export async function noteInHistory(tx: Sql, jobId: string, noted: Noted & { readonly action: string }): Promise<void> {
  await tx
    .updateTable('dead_letters')
    .set({ history: appended(noted) })
    .where('jobId', '=', jobId)
    .execute();
}

const appended = (noted: Noted & { readonly action: string }) =>
  sql<string>`history || jsonb_set(${JSON.stringify([noted])}::jsonb, '{0,at}', to_jsonb(now()))`;

export const conflict = (message: string, publicMessage: string): SynapError =>
  new SynapError('job_state_conflict', message, { publicMessage });
