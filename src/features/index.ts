import { conversations } from './conversations/index.js';
import type { Feature } from './feature.js';
import { files } from './files/index.js';
import { notes } from './notes/index.js';
import { projects } from './projects/index.js';
import { tasks } from './tasks/index.js';

/** Everything this Synap can do. A feature is a folder here and a line in this list. */
export const features: readonly Feature[] = [notes, tasks, projects, conversations, files];
