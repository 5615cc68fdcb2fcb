import { exponential, NonRetryableError } from '../../execution/retry.js';
import { defineHandler } from '../feature.js';
import { hasProject } from '../projects/index.js';
import { TaskCreationCompleted, TaskCreationFailed, TaskCreationRequested } from './events.js';
import { insertTask } from './projection.js';

export const createTask = defineHandler({
  on: TaskCreationRequested,
  emits: [TaskCreationCompleted],
  failure: TaskCreationFailed,
  retry: { attempts: 3, backoff: exponential({ baseMs: 500, jitter: 0.5 }) },

  async run({ event, step, emit, notify }) {
    const { userId, aggregateId: id } = event;
    const { title, description = null, projectId = null } = event.data;
    const dueDate = event.data.dueDate === undefined ? null : new Date(event.data.dueDate);

    const task = await step.transaction('create-entity-projection', async (tx) => {
      if (projectId !== null && !(await hasProject(tx, userId, projectId))) {
        throw new NonRetryableError('project_not_found', 'There is no such project among yours.');
      }
      return insertTask(tx, { userId, id, title, description, dueDate, projectId });
    });

    emit(TaskCreationCompleted, { taskId: id });
    notify.success('task.creation.completed', { entityId: id, ...task });
  },
});
