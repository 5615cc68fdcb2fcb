import { z } from 'zod';
import { defineEvent } from '../../events/definition.js';
import { fileUrl } from './names.js';
import type { NewFile } from './projection.js';

/** The file of a note is in the storage and belongs to its user. */
export const FileUploaded = defineEvent({
  type: 'file.uploaded',
  aggregateType: 'note',
  origin: 'handler',
  data: z.object({
    fileId: z.uuid(),
    fileUrl: z.string(),
    filePath: z.string(),
    name: z.string(),
    contentType: z.string(),
    size: z.number().int(),
    sha256: z.string(),
  }),
});

export function uploadedData({ id, path, name, contentType, size, sha256 }: NewFile) {
  return { fileId: id, fileUrl: fileUrl(id), filePath: path, name, contentType, size, sha256 };
}
