import { defineFeature } from '../feature.js';
import { completeTask } from './complete-task.js';
import { createTask } from './create-task.js';
import {
  TaskCompletionFailed,
  TaskCompletionProcessed,
  TaskCompletionRequested,
  TaskCreationCompleted,
  TaskCreationFailed,
  TaskCreationRequested,
} from './events.js';
import { taskReads } from './queries.js';

export const tasks = defineFeature({
  name: 'tasks',
  events: [
    TaskCreationRequested,
    TaskCreationCompleted,
    TaskCreationFailed,
    TaskCompletionRequested,
    TaskCompletionProcessed,
    TaskCompletionFailed,
  ],
  handlers: [createTask, completeTask],
  reads: taskReads,
});
