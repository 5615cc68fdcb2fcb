import { exponential } from '../../execution/retry.js';
import { defineHandler } from '../feature.js';
import { TaskCompletionFailed, TaskCompletionProcessed, TaskCompletionRequested } from './events.js';
import * as tasks from './projection.js';

/** Completing twice is no error: the answer has the time of the first. */
export const completeTask = defineHandler({
  on: TaskCompletionRequested,
  emits: [TaskCompletionProcessed],
  failure: TaskCompletionFailed,
  retry: { attempts: 3, backoff: exponential({ baseMs: 500, jitter: 0.5 }) },

  async run({ event, step, emit, notify }) {
    const { taskId } = event.data;

    const task = await step.transaction('complete-task', (tx) => tasks.completeTask(tx, event.userId, taskId));

    emit(TaskCompletionProcessed, { taskId, completedAt: task.completedAt });
    notify.success('task.completion.processed', { entityId: taskId, ...task });
  },
});
