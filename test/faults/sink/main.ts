import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import type { AddressInfo } from 'node:net';
import { SyncedLog } from '../log.ts';

/** One call of a handler to the outside. */
export interface SinkRecord {
  readonly key: string;
  readonly eventId: string;
  readonly userId: string;
  /** Whether this key had been acted on before; the effect is not repeated then. */
  readonly isRepeat: boolean;
}

// The outside world: it acts once for each key, and writes down every call before it answers.
const [file = ''] = process.argv.slice(2);
const log = new SyncedLog(file);
const seen = new Set<string>();

const server = createServer((request, response) => {
  void (async () => {
    const { eventId, userId } = (await json(request)) as { eventId: string; userId: string };
    const key = String(request.headers['idempotency-key']);
    const isRepeat = seen.has(key);
    seen.add(key);
    await log.append({ key, eventId, userId, isRepeat } satisfies SinkRecord);
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ isRepeat }));
  })().catch(() => response.destroy());
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
process.stdin.resume().once('end', () => process.exit(0));
