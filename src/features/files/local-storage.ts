import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { SynapError } from '../../platform/errors.js';
import type { PutOptions, Storage, StoredObject } from './storage.js';

// A segment starts with neither a dot nor a slash: `..`, absolute paths and the folder of unfinished writes have no name here.
const pathPattern = /^(?:[A-Za-z0-9~][A-Za-z0-9._~-]{0,199}\/){0,8}[A-Za-z0-9~][A-Za-z0-9._~-]{0,199}$/;
const abandonedAfterMs = 24 * 3_600_000;

/** Objects as files below one directory, which the api and the workers share (in compose, a volume). */
export class LocalStorage implements Storage {
  readonly #directory: string;
  readonly #incoming: string;
  #swept: Promise<void> | undefined;

  constructor(directory: string) {
    this.#directory = directory;
    this.#incoming = join(directory, '.incoming');
  }

  /** Written beside, synced, then renamed: after a crash the object is there whole or not at all. */
  async put(path: string, content: string | Buffer | Readable, options: PutOptions = {}): Promise<StoredObject> {
    const target = this.#resolve(path);
    const unfinished = join(this.#incoming, randomUUID());
    await makeDirectory(this.#incoming);
    await (this.#swept ??= sweepAbandoned(this.#incoming));
    try {
      const written = await write(unfinished, content, options);
      await makeDirectory(dirname(target));
      await rename(unfinished, target);
      await syncDirectory(dirname(target));
      return { path, ...written };
    } catch (thrown) {
      await rm(unfinished, { force: true });
      throw thrown;
    }
  }

  async open(path: string): Promise<Readable> {
    try {
      const file = await open(this.#resolve(path), 'r');
      return file.createReadStream();
    } catch (thrown) {
      if (isMissing(thrown)) throw new SynapError('not_found', `no object at ${path}`, { cause: thrown });
      throw thrown;
    }
  }

  async delete(path: string): Promise<void> {
    await rm(this.#resolve(path), { force: true });
  }

  #resolve(path: string): string {
    if (!pathPattern.test(path)) throw new SynapError('internal', `"${path}" is not a path inside the storage`);
    return join(this.#directory, path);
  }
}

async function write(path: string, content: string | Buffer | Readable, { maxBytes = Infinity, signal }: PutOptions) {
  // Opened before anything can fail, so that a failure finds the file there to remove.
  const file = await open(path, 'wx', 0o600);
  const hash = createHash('sha256');
  let size = 0;
  const source = content instanceof Readable ? content : Readable.from(Buffer.from(content));
  await pipeline(
    source,
    async function* measure(chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        size += chunk.length;
        if (size > maxBytes) throw tooLarge(maxBytes);
        hash.update(chunk);
        yield chunk;
      }
    },
    file.createWriteStream({ flush: true }),
    signal === undefined ? {} : { signal },
  );
  return { size, sha256: hash.digest('hex') };
}

function tooLarge(maxBytes: number): SynapError {
  return new SynapError('payload_too_large', `more than ${maxBytes} bytes`, {
    publicMessage: `a file may have at most ${maxBytes} bytes`,
  });
}

/** A rename is durable when the directory that holds the name is, and that one's own name, where it is new. */
async function makeDirectory(path: string): Promise<void> {
  const created = await mkdir(path, { recursive: true });
  if (created !== undefined) await syncDirectory(dirname(created));
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** What killed processes left unfinished; old enough that no living one still writes it. */
async function sweepAbandoned(incoming: string): Promise<void> {
  for (const name of await readdir(incoming)) {
    const path = join(incoming, name);
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && Date.now() - found.mtimeMs > abandonedAfterMs) await rm(path, { force: true });
  }
}

const isMissing = (thrown: unknown): boolean => thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
