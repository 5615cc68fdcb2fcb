import { defineFeature } from '../feature.js';
import { FileUploaded } from './events.js';

/** Files come by POST /v1/files and go by GET /v1/files/:id (src/http/routes), as streams; only their event is here. */
export const files = defineFeature({ name: 'files', events: [FileUploaded], handlers: [], reads: [] });

// What other features build on.
export { FileUploaded, uploadedData } from './events.js';
export { fileUrl, objectPath, sanitizeName } from './names.js';
export { findFile, insertFile, type NewFile } from './projection.js';
export { readText } from './text-content.js';
