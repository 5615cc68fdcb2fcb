import { defineFeature } from '../feature.js';
import { createNote } from './create-note.js';
import { EntityCreated, NoteCreationCompleted, NoteCreationFailed, NoteCreationRequested } from './events.js';
import { noteReads } from './queries.js';

export const notes = defineFeature({
  name: 'notes',
  events: [NoteCreationRequested, EntityCreated, NoteCreationCompleted, NoteCreationFailed],
  handlers: [createNote],
  reads: noteReads,
});
