import { Redis } from 'ioredis';
import { toError } from '../../platform/errors.js';
import { findingsOf, type Finding } from './finding.js';

const part = findingsOf('redis');
const oldest = [6, 2] as const;

/** Reachable, new enough, never evicting, a primary, and persistent. */
export async function checkRedis(url: string): Promise<Finding[]> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 5_000,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
  });
  // The reason is in the rejection of connect(); without a listener ioredis prints it as well.
  const errors: Error[] = [];
  redis.on('error', (error: Error) => errors.push(error));
  const { host } = new URL(url);
  try {
    await redis.connect();
    const info = parseInfo(await redis.info());
    return [...version(info, host), ...role(info), ...eviction(info), ...persistence(info)];
  } catch (thrown) {
    const reason = (errors[0] ?? toError(thrown)).message;
    return [
      part.fail(
        `cannot be reached at ${host}: ${reason}`,
        'Start it, or correct REDIS_URL. Without REDIS_URL Synap runs as a single node.',
      ),
    ];
  } finally {
    // One that never connected has ended by itself; asking it again would keep the process for two more seconds.
    if (redis.status !== 'end') redis.disconnect();
  }
}

type Info = ReadonlyMap<string, string>;

function parseInfo(text: string): Info {
  const pairs = text.split(/\r?\n/).flatMap((line): [string, string][] => {
    const at = line.indexOf(':');
    return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)]];
  });
  return new Map(pairs);
}

function version(info: Info, host: string): Finding[] {
  // Valkey says which Redis it is compatible with in redis_version.
  const speaks = info.get('redis_version') ?? '0.0';
  const valkey = info.get('valkey_version');
  const name = `${valkey === undefined ? `Redis ${speaks}` : `Valkey ${valkey}`} at ${host}`;
  const [major = 0, minor = 0] = speaks.split('.').map(Number);
  const isOld = major < oldest[0] || (major === oldest[0] && minor < oldest[1]);
  return [isOld ? part.fail(`${name} is too old`, `BullMQ needs Redis ${oldest.join('.')} or later.`) : part.ok(name)];
}

function role(info: Info): Finding[] {
  return info.get('role') === 'slave'
    ? [part.fail('this server is a read-only replica', 'Let REDIS_URL name the primary, or use Sentinel.')]
    : [];
}

function eviction(info: Info): Finding[] {
  const policy = info.get('maxmemory_policy') ?? 'unknown';
  if (policy === 'noeviction') return [part.ok('maxmemory-policy noeviction')];
  const advice = 'Set maxmemory-policy noeviction: BullMQ breaks where keys vanish, and refuses to start its workers.';
  return [part.fail(`maxmemory-policy is ${policy}`, advice)];
}

function persistence(info: Info): Finding[] {
  if (info.get('aof_enabled') === '1') return [part.ok('append-only file on')];
  return [
    part.warn(
      'nothing is persisted by an append-only file',
      'After a restart Synap fills the queues again from Postgres; "appendonly yes" spares it that.',
    ),
  ];
}
