import type { Readable } from 'node:stream';

/** Where the bytes of a file lie. */
export type StoredObject = {
  /** The key inside the storage, such as `<user>/<id>.md`. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
};

export interface PutOptions {
  readonly maxBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Keeps bytes under a path. Writing is atomic (a reader sees the whole object or none) and writing the same path again
 * replaces it, so a repeated step is harmless.
 */
export interface Storage {
  /** @throws SynapError `payload_too_large` when the stream exceeds `maxBytes`; nothing is kept then. */
  put(path: string, content: string | Buffer | Readable, options?: PutOptions): Promise<StoredObject>;
  /** @throws SynapError `not_found`. */
  open(path: string): Promise<Readable>;
  /** Deleting what is not there is fine. */
  delete(path: string): Promise<void>;
}
