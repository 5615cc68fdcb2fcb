import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import type { Uploads } from '../../features/files/uploads.js';
import { ownerOf } from '../call.js';
import type { Endpoint } from '../endpoint.js';
import { orNotFound, parseParams } from '../input.js';

const paramsSchema = z.object({ id: z.uuid().toLowerCase() });

/**
 * A file for its owner. Its type is what somebody uploaded, so a browser must never render it here: it is an attachment,
 * its type is not guessed at, and were it opened all the same it would run in a sandbox.
 */
export function getFile(uploads: Uploads): Endpoint {
  return {
    method: 'get',
    path: '/v1/files/:id',
    access: 'user',
    async handle(req, res) {
      const { id } = parseParams(paramsSchema, req.params);
      const { file, stream } = orNotFound(await uploads.openFile(ownerOf(req), id));
      res.attachment(file.name);
      res.setHeader('Content-Type', file.contentType);
      res.setHeader('Content-Security-Policy', "sandbox; default-src 'none'");
      res.setHeader('Cache-Control', 'private, no-cache');
      res.setHeader('ETag', `"${file.sha256}"`);
      if (req.fresh || req.method === 'HEAD') {
        stream.destroy();
        res
          .status(req.fresh ? 304 : 200)
          .setHeader('Content-Length', file.size)
          .end();
        return;
      }
      res.setHeader('Content-Length', file.size);
      await pipeline(stream, res);
    },
  };
}
