import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { runPeer } from './peer.ts';

// BullMQ alone, doing nothing: what its Redis path carries.
const concurrency = 100;
const queue = 'work';
const perCall = 1_000;

let redisUrl = '';
let count = 0;

await runPeer({
  async prepare(url, wanted) {
    redisUrl = url;
    count = wanted;
    const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
    const producer = new Queue(queue, { connection });
    for (let n = 0; n < count; n += perCall) {
      const size = Math.min(perCall, count - n);
      await producer.addBulk(
        Array.from({ length: size }, (_, i) => ({
          name: 'work',
          data: { n: n + i },
          opts: { removeOnComplete: true },
        })),
      );
    }
    await producer.close();
    connection.disconnect();
  },

  async drain() {
    const ends: number[] = [];
    const all = Promise.withResolvers<void>();
    const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
    const worker = new Worker(queue, () => Promise.resolve(), { connection, concurrency });
    worker.on('completed', () => {
      ends.push(Date.now());
      if (ends.length === count) all.resolve();
    });
    await all.promise;
    await worker.close();
    connection.disconnect();
    return ends;
  },
});
