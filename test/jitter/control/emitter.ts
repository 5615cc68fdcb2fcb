import { setTimeout as delay } from 'node:timers/promises';
import { Emitter } from '@socket.io/redis-emitter';
import { Redis } from 'ioredis';
import pg from 'pg';

// Tells the control's rooms each notification that Synap has committed to its users' rooms, once, as soon as it is there. It reads them
// from Postgres, so that what workers and apis go through costs the control nothing: it loses only on the way to the browser.
const [databaseUrl, redisUrl, prefix] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: databaseUrl, max: 1, application_name: 'jitter-control' });
pool.on('error', () => undefined);
const redis = new Redis(redisUrl ?? '', { maxRetriesPerRequest: null });
redis.on('error', () => undefined);
process.on('unhandledRejection', () => undefined);
process.stdin.resume().once('end', () => process.exit(1));

interface Row {
  readonly room: string;
  readonly epoch: string;
  readonly seq: number;
  readonly id: string;
}

const emitter = new Emitter(redis);
const told = new Map<string, number>();
const everyMs = 20;

/** A room's numbers have no gaps, so its own last number is all that there is to remember. */
async function tell(): Promise<void> {
  const { rows } = await pool.query<Row>(
    `SELECT r.key AS room, r.epoch, e.seq::int, e."notificationId" AS id
     FROM rooms r
     LEFT JOIN unnest($2::text[], $3::int[]) AS told(room, seq) ON told.room = r.key
     JOIN room_entries e ON e.room = r.key AND e.seq > COALESCE(told.seq, 0)
     WHERE r.key LIKE $1 AND r."lastSeq" > COALESCE(told.seq, 0) ORDER BY e.room, e.seq`,
    [`u:${prefix}-%`, [...told.keys()], [...told.values()]],
  );
  for (const { room: key, epoch, seq, id } of rows) {
    told.set(key, seq);
    const room = `user_${key.slice('u:'.length)}`;
    emitter.to(room).emit('notification', { id, room, epoch, seq });
  }
}

process.stdout.write('ready\n');
for (;;) {
  await tell().catch(() => undefined);
  await delay(everyMs);
}
