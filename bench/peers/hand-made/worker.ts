import { randomUUID } from 'node:crypto';
import { Emitter } from '@socket.io/redis-emitter';
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { answer } from '../../load/answers.ts';
import { queueName, type EchoJob, type StartQuestion } from './questions.ts';

/** As Synap's WORKER_CONCURRENCY. */
const concurrency = 20;

// BullMQ gives the job, the emitter tells the user's sockets.
async function start({ redisUrl }: StartQuestion): Promise<void> {
  const emitter = new Emitter(new Redis(redisUrl));
  const worker = new Worker<EchoJob>(
    queueName,
    ({ data: { eventId, userId, requestId, data } }) => {
      emitter.to(`user_${userId}`).emit('notification', {
        id: randomUUID(),
        type: 'bench.echo.completed',
        data,
        status: 'success',
        timestamp: new Date().toISOString(),
        requestId,
        eventId,
      });
      return Promise.resolve();
    },
    { connection: new Redis(redisUrl, { maxRetriesPerRequest: null }), concurrency, skipVersionCheck: true },
  );
  await worker.waitUntilReady();
}

answer({ start });
