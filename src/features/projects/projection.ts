import type { Selectable } from 'kysely';
import { NonRetryableError } from '../../execution/retry.js';
import type { DB, Sql } from '../../platform/database.js';

export type ProjectView = {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
};

export interface NewProject {
  readonly userId: string;
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
}

/**
 * Inserting a project again, as a restarted job does, finds it there.
 * @throws NonRetryableError `project_already_exists` where the user has another project under this id.
 */
export async function insertProject(tx: Sql, project: NewProject): Promise<ProjectView> {
  const row = await tx
    .insertInto('projects')
    .values(project)
    .onConflict((conflict) =>
      conflict
        .columns(['userId', 'id'])
        .doUpdateSet((was) => ({ name: was.ref('projects.name') }))
        .whereRef('projects.name', '=', 'excluded.name')
        .whereRef('projects.description', 'is not distinct from', 'excluded.description'),
    )
    .returningAll()
    .executeTakeFirst();
  if (row === undefined)
    throw new NonRetryableError('project_already_exists', 'You have another project with this id.');
  return toProjectView(row);
}

/** Whether the user has this project. */
export async function hasProject(tx: Sql, userId: string, id: string): Promise<boolean> {
  const row = await tx
    .selectFrom('projects')
    .select('id')
    .where('userId', '=', userId)
    .where('id', '=', id)
    .executeTakeFirst();
  return row !== undefined;
}

export function toProjectView({ id, name, description, createdAt }: Selectable<DB['projects']>): ProjectView {
  return { id, name, description, createdAt: createdAt.toISOString() };
}
