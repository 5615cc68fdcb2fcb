import { pipeline, Transform, type Readable } from 'node:stream';
import type { Metrics } from '../../platform/metrics.js';
import type { Storage } from './storage.js';

/** Counts and times what goes through a storage, whichever it is. */
export function meterStorage(storage: Storage, metrics: Metrics): Storage {
  const counted = async <T>(operation: string, run: () => Promise<T>): Promise<T> => {
    const stop = metrics.storageOperationDuration.startTimer({ operation });
    const end = (status: 'success' | 'error'): void => {
      stop({ status });
      metrics.storageOperations.inc({ operation, status });
    };
    try {
      const result = await run();
      end('success');
      return result;
    } catch (thrown) {
      end('error');
      throw thrown;
    }
  };

  return {
    async put(path, content, options) {
      const stored = await counted('put', () => storage.put(path, content, options));
      metrics.storageBytes.inc({ direction: 'written' }, stored.size);
      return stored;
    },
    async open(path) {
      const stream = await counted('open', () => storage.open(path));
      return countBytes(stream, (bytes) => metrics.storageBytes.inc({ direction: 'read' }, bytes));
    },
    delete: (path) => counted('delete', () => storage.delete(path)),
  };
}

function countBytes(stream: Readable, onBytes: (bytes: number) => void): Readable {
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      onBytes(chunk.length);
      done(null, chunk);
    },
  });
  // The pipeline hands an error on to `counter`, where the reader meets it.
  return pipeline(stream, counter, () => undefined);
}
