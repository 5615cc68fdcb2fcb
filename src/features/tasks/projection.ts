import { sql, type Selectable } from 'kysely';
import { NonRetryableError } from '../../execution/retry.js';
import type { DB, Sql } from '../../platform/database.js';

export type TaskView = {
  readonly id: string;
  readonly title: string;
  readonly description: string | null;
  /** ISO 8601, UTC, as all times here. */
  readonly dueDate: string | null;
  readonly projectId: string | null;
  readonly status: 'open' | 'completed';
  readonly completedAt: string | null;
  readonly createdAt: string;
};

export interface NewTask {
  readonly userId: string;
  readonly id: string;
  readonly title: string;
  readonly description: string | null;
  readonly dueDate: Date | null;
  readonly projectId: string | null;
}

/**
 * Inserting a task again, as a restarted job does, finds it there.
 * @throws NonRetryableError `task_already_exists` where the user has another task under this id.
 */
export async function insertTask(tx: Sql, task: NewTask): Promise<TaskView> {
  const row = await tx
    .insertInto('tasks')
    .values(task)
    .onConflict((conflict) =>
      conflict
        .columns(['userId', 'id'])
        .doUpdateSet((was) => ({ title: was.ref('tasks.title') }))
        .whereRef('tasks.title', '=', 'excluded.title')
        .whereRef('tasks.description', 'is not distinct from', 'excluded.description')
        .whereRef('tasks.dueDate', 'is not distinct from', 'excluded.dueDate')
        .whereRef('tasks.projectId', 'is not distinct from', 'excluded.projectId'),
    )
    .returningAll()
    .executeTakeFirst();
  if (row === undefined) throw new NonRetryableError('task_already_exists', 'You have another task with this id.');
  return toTaskView(row);
}

/**
 * The time of the first completion stays.
 * @throws NonRetryableError `task_not_found` where the user has no such task.
 */
export async function completeTask(tx: Sql, userId: string, id: string): Promise<TaskView & { completedAt: string }> {
  const row = await tx
    .updateTable('tasks')
    .set({ completedAt: sql`coalesce("completedAt", now())` })
    .where('userId', '=', userId)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst();
  const completedAt = row?.completedAt?.toISOString();
  if (row === undefined || completedAt === undefined) {
    throw new NonRetryableError('task_not_found', 'There is no such task among yours.');
  }
  return { ...toTaskView(row), completedAt };
}

export function toTaskView(row: Selectable<DB['tasks']>): TaskView {
  const { id, title, description, projectId } = row;
  return {
    id,
    title,
    description,
    dueDate: row.dueDate?.toISOString() ?? null,
    projectId,
    status: row.completedAt === null ? 'open' : 'completed',
    completedAt: row.completedAt?.toISOString() ?? null,
    createdAt: row.createdAt.toISOString(),
  };
}
