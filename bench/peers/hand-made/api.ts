import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Queue } from 'bullmq';
import express from 'express';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { answer } from '../../load/answers.ts';
import { queueName, type EchoJob, type StartQuestion } from './questions.ts';
import { createVerifier } from './tokens.ts';

const posted = z.object({
  type: z.literal(queueName),
  data: z.object({ n: z.number().int(), at: z.number() }),
  requestId: z.string().max(128).optional(),
});

// Express takes the request, BullMQ carries it: accepted means that Redis has it.
async function start({ redisUrl, jwtSecret }: StartQuestion): Promise<number> {
  const queue = new Queue<EchoJob>(queueName, {
    connection: new Redis(redisUrl, { maxRetriesPerRequest: null }),
    skipVersionCheck: true,
    defaultJobOptions: { attempts: 3, removeOnComplete: { count: 1_000 }, removeOnFail: { count: 1_000 } },
  });
  await queue.waitUntilReady();
  const verify = createVerifier(jwtSecret);
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.post('/v1/events', express.json({ limit: '100kb' }), async (req, res) => {
    const userId = await verify((req.headers.authorization ?? '').slice('Bearer '.length)).catch(() => undefined);
    if (userId === undefined) return void res.status(401).json({ error: 'unauthenticated' });
    const body = posted.safeParse(req.body);
    if (!body.success) return void res.status(400).json({ error: body.error.issues });
    const { data, requestId = randomUUID() } = body.data;
    const eventId = randomUUID();
    await queue.add(queueName, { eventId, userId, requestId, data }, { jobId: eventId });
    res.status(202).json({ eventId, requestId, status: 'accepted' });
  });
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

answer({ start });
