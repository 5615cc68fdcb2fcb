import { exponential } from '../../execution/retry.js';
import { defineHandler } from '../feature.js';
import { ProjectCreationCompleted, ProjectCreationFailed, ProjectCreationRequested } from './events.js';
import { insertProject } from './projection.js';

export const createProject = defineHandler({
  on: ProjectCreationRequested,
  emits: [ProjectCreationCompleted],
  failure: ProjectCreationFailed,
  retry: { attempts: 3, backoff: exponential({ baseMs: 500, jitter: 0.5 }) },

  async run({ event, step, emit, notify }) {
    const { userId, aggregateId: id } = event;
    const { name, description = null } = event.data;

    const project = await step.transaction('create-entity-projection', (tx) =>
      insertProject(tx, { userId, id, name, description }),
    );

    emit(ProjectCreationCompleted, { projectId: id });
    notify.success('project.creation.completed', { entityId: id, ...project });
  },
});
