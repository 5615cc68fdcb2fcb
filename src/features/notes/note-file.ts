import { NonRetryableError } from '../../execution/retry.js';
import type { AttemptContext } from '../../execution/handler.js';
import { fileUrl, findFile, objectPath, readText, sanitizeName, type NewFile } from '../files/index.js';
import type { Services } from '../services.js';
import { maxContentLength } from './events.js';

/** The file behind a note, and the text that the note shows. */
export interface NoteFile extends NewFile {
  readonly url: string;
  readonly content: string;
}

type Context<Data> = Pick<AttemptContext<Data, Services>, 'event' | 'step' | 'services'>;

/** The note's own file. It has the id of the event that asked for it, so that repeating the step writes the same file. */
export async function storeContent(
  { event, step, services }: Context<{ title: string }>,
  content: string,
): Promise<NoteFile> {
  const { id, userId, data } = event;
  const stored = await step('upload-to-storage', () => services.storage.put(objectPath(userId, id, '.md'), content));
  return {
    id,
    userId,
    name: sanitizeName(`${data.title}.md`),
    contentType: 'text/markdown',
    url: fileUrl(id),
    content,
    ...stored,
  };
}

/**
 * A file that the user has uploaded. Text becomes the note's content; anything else (a picture, a file that is too large to
 * be one) is attached to a note whose content is empty.
 */
export async function attachUpload(
  { event, services }: Omit<Context<unknown>, 'step'>,
  fileId: string,
): Promise<NoteFile> {
  const { userId } = event;
  const file = await findFile(services.sql, userId, fileId);
  if (file === undefined) throw new NonRetryableError('file_not_found', 'There is no such file among yours.');
  const content = await readText(services.storage, file, maxContentLength);
  return { ...file, userId, content: content ?? '' };
}
