import { PassThrough, type Readable } from 'node:stream';
import { Busboy, type BusboyFileStream } from '@fastify/busboy';
import type { Request } from 'express';
import { SynapError, toError } from '../platform/errors.js';

/** A file on its way in. */
export interface Incoming {
  readonly name: string;
  readonly contentType: string;
  readonly stream: Readable;
}

type Save<Saved> = (incoming: Incoming) => Promise<Saved>;

/** The body is the file; X-File-Name carries its name, percent-encoded because headers are ASCII. */
export async function receiveRaw<Saved>(req: Request, save: Save<Saved>): Promise<Saved> {
  const name = decodeName(req.get('x-file-name') ?? 'file');
  const contentType = req.get('content-type') ?? 'application/octet-stream';
  // The request itself is not handed over: whoever destroys it takes the answer's connection with it.
  const stream = new PassThrough();
  const end = whenCutShort(req, (error) => stream.destroy(error));
  req.pipe(stream);
  try {
    return await save({ name, contentType, stream });
  } finally {
    end();
    req.unpipe(stream);
    stream.destroy();
    req.resume();
  }
}

/** The field `file` of a multipart/form-data body; other fields are passed over. */
export async function receiveForm<Saved>(req: Request, save: Save<Saved>): Promise<Saved> {
  const form = openForm(req);
  const parsed = Promise.withResolvers<void>();
  const found: { stream?: BusboyFileStream; saving?: Promise<Saved> } = {};
  form.on('file', (field, stream, name, _encoding, contentType) => {
    if (field !== 'file' || found.stream !== undefined) {
      stream.resume();
      return;
    }
    found.stream = stream;
    found.saving = save({ name, contentType, stream });
    // A save that fails stops reading, and then the form would never be done.
    found.saving.catch(parsed.reject);
  });
  form.on('finish', () => parsed.resolve());
  form.on('error', (thrown) => parsed.reject(malformed(toError(thrown).message)));
  const end = whenCutShort(req, parsed.reject);
  req.pipe(form);
  try {
    await parsed.promise;
    if (found.saving === undefined) throw missing();
    return await found.saving;
  } catch (thrown) {
    found.stream?.destroy(toError(thrown));
    await found.saving?.catch(() => undefined);
    throw thrown;
  } finally {
    end();
    req.unpipe(form);
    req.resume();
  }
}

function openForm(req: Request) {
  try {
    const contentType = req.get('content-type') ?? '';
    const limits = { fields: 20, fieldSize: 10_000, files: 10, parts: 30, headerPairs: 50 };
    return new Busboy({ headers: { ...req.headers, 'content-type': contentType }, limits });
  } catch (thrown) {
    throw malformed(toError(thrown).message);
  }
}

/** Half a file must not be taken for a whole one. The client may also have left before anybody looked. */
function whenCutShort(req: Request, stop: (error: Error) => void): () => void {
  const onClose = (): void => {
    if (!req.readableEnded) stop(malformed('the upload was cut short'));
  };
  if (req.destroyed) onClose();
  req.once('close', onClose);
  return () => req.off('close', onClose);
}

const malformed = (message: string): SynapError =>
  new SynapError('validation_failed', `upload: ${message}`, { publicMessage: message });

const missing = (): SynapError =>
  new SynapError('validation_failed', 'no file in the form', { faults: [{ path: 'file', message: 'must be a file' }] });

function decodeName(header: string): string {
  try {
    return decodeURIComponent(header);
  } catch {
    throw new SynapError('validation_failed', 'file name', {
      faults: [{ path: 'X-File-Name', message: 'must be percent-encoded' }],
    });
  }
}
