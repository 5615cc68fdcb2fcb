import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { z } from 'zod';
import { answer } from '../load/answers.ts';

// The least that can answer such a request: Express, its JSON parser, zod. Nobody is asked who he is, and nothing is stored.

const id = z.string().regex(/^[A-Za-z0-9._:-]{1,128}$/);
const body = z.strictObject({
  type: z.literal('bench.work.requested'),
  data: z.object({ n: z.number().int() }),
  eventId: z.uuid().optional(),
  aggregateId: id.optional(),
  requestId: id.optional(),
  correlationId: id.optional(),
  causationId: z.uuid().optional(),
  priority: z.enum(['high', 'normal', 'low']).default('normal'),
  delayMs: z.number().int().min(0).optional(),
  runAt: z.iso.datetime({ offset: true }).optional(),
});

const app = express();
app.disable('x-powered-by');
app.disable('etag');
app.use(express.json());
app.post('/v1/events', (req, res) => {
  const parsed = body.safeParse(req.body);
  if (!parsed.success) {
    res.status(422).json({ issues: parsed.error.issues });
    return;
  }
  res.status(202).json({ eventId: randomUUID(), requestId: parsed.data.requestId, status: 'accepted' });
});

/** @returns its port */
async function listen(): Promise<number> {
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

answer({ listen });
