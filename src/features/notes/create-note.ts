import { exponential } from '../../execution/retry.js';
import { defineHandler } from '../feature.js';
import { FileUploaded, insertFile, uploadedData } from '../files/index.js';
import { EntityCreated, NoteCreationCompleted, NoteCreationFailed, NoteCreationRequested } from './events.js';
import { attachUpload, storeContent } from './note-file.js';
import { insertNote } from './projection.js';

/**
 * Upload first: a file without a note is garbage we can sweep, a note without its file is a lie.
 * The events and the last notification commit together, when the job completes.
 */
export const createNote = defineHandler({
  on: NoteCreationRequested,
  emits: [FileUploaded, EntityCreated, NoteCreationCompleted],
  failure: NoteCreationFailed,
  retry: { attempts: 3, backoff: exponential({ baseMs: 1_000, jitter: 0.5 }) },

  async run(context) {
    const { event, step, emit, notify, progress, services } = context;
    const { userId, aggregateId: id } = event;
    const { title, content, fileId, tags } = event.data;

    await step.notify('announce', { type: 'note.creation.started', status: 'pending', data: { entityId: id, title } });

    const file =
      fileId === undefined ? await storeContent(context, content ?? '') : await attachUpload(context, fileId);
    progress(50, 'File stored');

    const note = await step.transaction('create-entity-projection', async (tx) => {
      await insertFile(tx, file);
      return insertNote(tx, {
        userId,
        id,
        title,
        tags,
        content: file.content,
        fileId: file.id,
        filePath: file.path,
        fileUrl: file.url,
      });
    });
    progress(90, 'Note saved');

    emit(FileUploaded, uploadedData(file));
    emit(EntityCreated, { entityId: id, entityType: 'note', title });
    emit(NoteCreationCompleted, { noteId: id, fileId: file.id });
    notify.success('note.creation.completed', { entityId: id, ...note });
    services.metrics.notesCreated.inc();
  },
});
