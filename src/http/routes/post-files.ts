import type { Uploads } from '../../features/files/uploads.js';
import { SynapError } from '../../platform/errors.js';
import { ownerOf } from '../call.js';
import type { Endpoint } from '../endpoint.js';
import { receiveForm, receiveRaw, type Incoming } from '../upload.js';

/** Room for the boundaries and headers of a form around the file itself. */
const formOverheadBytes = 64 * 1024;

/** Takes a file, streamed into storage: as the field `file` of a form, or as the body itself. */
export function postFiles(uploads: Uploads, { maxFileBytes }: { readonly maxFileBytes: number }): Endpoint {
  return {
    method: 'post',
    path: '/v1/files',
    access: 'user',
    async handle(req, res) {
      if (Number(req.get('content-length') ?? 0) > maxFileBytes + formOverheadBytes) {
        throw new SynapError('payload_too_large', 'announced size', {
          publicMessage: `A file may have ${maxFileBytes} bytes.`,
        });
      }
      const userId = ownerOf(req);
      const save = (incoming: Incoming) => uploads.saveUpload({ userId, maxBytes: maxFileBytes, ...incoming });
      const isForm = typeof req.is('multipart/form-data') === 'string';
      const file = await (isForm ? receiveForm(req, save) : receiveRaw(req, save));
      res.status(201).location(file.url).json(file);
    },
  };
}
