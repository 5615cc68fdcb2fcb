import { Redis } from 'ioredis';
import { Worker } from 'bullmq';

/**
 * The least that a worker can be: BullMQ on one queue, with nothing to do. Its first argument is the URL of Redis. It says when
 * it listens and ends with a signal.
 */
const connection = new Redis(process.argv[2] ?? '', { maxRetriesPerRequest: null });
const worker = new Worker('bench-nothing', () => Promise.resolve(), { connection });
process.on('SIGTERM', () => {
  void worker.close().then(() => process.exit(0));
});
await worker.waitUntilReady();
process.stdout.write('ready\n');
