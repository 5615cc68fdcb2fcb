import { defineFeature } from '../feature.js';
import { createProject } from './create-project.js';
import { ProjectCreationCompleted, ProjectCreationFailed, ProjectCreationRequested } from './events.js';
import { projectReads } from './queries.js';

export { hasProject } from './projection.js';

export const projects = defineFeature({
  name: 'projects',
  events: [ProjectCreationRequested, ProjectCreationCompleted, ProjectCreationFailed],
  handlers: [createProject],
  reads: projectReads,
});
