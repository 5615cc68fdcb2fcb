import { z } from 'zod';
import { SynapError, type Fault } from './errors.js';
import { parseFault } from './fault-points.js';

const roles = ['api', 'dispatcher', 'worker', 'realtime'] as const;

const flag = z.enum(['true', 'false']).transform((text) => text === 'true');
const port = z.coerce.number().int().min(0).max(65_535);
const count = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
);

const windowUnitsMs = { second: 1_000, minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;

/** `60000` (milliseconds) or `1 minute`, `15 minutes`, `1 hour`. */
const duration = z.string().transform((text, ctx) => {
  const match = /^(\d+)(?:\s*(second|minute|hour|day)s?)?$/.exec(text.trim());
  const amount = Number(match?.[1]);
  if (match === null || amount < 1) {
    ctx.addIssue({ code: 'custom', message: 'must be milliseconds or text such as "1 minute"' });
    return z.NEVER;
  }
  return match[2] === undefined ? amount : amount * windowUnitsMs[match[2] as keyof typeof windowUnitsMs];
});

const rolesList = list.pipe(z.array(z.enum(roles)).min(1)).transform((given) => [...new Set(given)]);

/** `note.creation.requested=20,conversation.message.sent=5` */
const concurrencyMap = list.transform((pairs, ctx) => {
  const map: Record<string, number> = {};
  for (const pair of pairs) {
    const match = /^([a-z.]+)=([1-9]\d{0,3})$/.exec(pair);
    if (match?.[1] === undefined) {
      ctx.addIssue({ code: 'custom', message: `"${pair}" must read event.type=number` });
      return z.NEVER;
    }
    map[match[1]] = Number(match[2]);
  }
  return map;
});

/** `region=eu-west-1,cluster=blue`; Prometheus' own names begin with two underscores. */
const labels = list.transform((pairs, ctx) => {
  const map: Record<string, string> = {};
  for (const pair of pairs) {
    const [, name, value] = /^(?!__)([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.+)$/.exec(pair) ?? [];
    if (name === undefined || value === undefined) {
      ctx.addIssue({ code: 'custom', message: `"${pair}" must read label=value` });
      return z.NEVER;
    }
    map[name] = value;
  }
  return map;
});

const trustProxy = z.string().transform((text): boolean | number | string => {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^\d+$/.test(text) ? Number(text) : text;
});

const variables = z.object({
  NODE_ENV: z.enum(['development', 'test', 'production']).default('development'),
  SYNAP_ROLES: rolesList.default([...roles]),
  HOST: z.string().optional(),
  PORT: port.default(3000),
  METRICS_PORT: port.optional(),
  METRICS_ENABLED: flag.default(true),
  METRICS_PREFIX: z
    .string()
    .regex(/^[a-z_]*$/)
    .default('synap_'),
  METRICS_DEFAULT_LABELS: labels.default({}),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  PINO_PRETTY: flag.optional(),
  /** Set to anything: no colours (no-color.org). */
  NO_COLOR: z.string().optional(),
  DATABASE_URL: z
    .url({ protocol: /^postgres(ql)?$/, error: 'must look like postgresql://user:password@host:5432/database' })
    .optional(),
  DB_POOL_MIN: count(0, 1_000).default(5),
  DB_POOL_MAX: count(2, 1_000).default(20),
  DB_IDLE_TIMEOUT: count(0, 3_600_000).default(30_000),
  REDIS_URL: z.url({ protocol: /^rediss?$/, error: 'must look like redis://host:6379' }).optional(),
  JWT_SECRET: z.string().min(32, 'must have at least 32 characters').optional(),
  /** Where the public keys of an identity provider are; its tokens are taken as well as those of JWT_SECRET. */
  JWT_JWKS_URL: z
    .url({ protocol: /^https?$/, error: 'must look like https://id.example.com/.well-known/jwks.json' })
    .optional(),
  JWT_ISSUER: z.string().optional(),
  JWT_AUDIENCE: list.optional(),
  /** Seconds that the clock of who makes the tokens may be off. */
  JWT_CLOCK_TOLERANCE: count(0, 300).default(5),
  API_KEY: z.string().min(32, 'must have at least 32 characters').optional(),
  OPERATOR_NAME: z
    .string()
    .regex(/^[A-Za-z0-9._@-]{1,64}$/)
    .default('operator'),
  OPERATOR_PASSWORD: z.string().min(12, 'must have at least 12 characters').optional(),
  ALLOWED_ORIGINS: list.optional(),
  TRUST_PROXY: trustProxy.default(false),
  /** Connections that a process takes, of one user and from one address. */
  SOCKETS_PER_USER: count(1, 1_000_000).default(50),
  SOCKETS_PER_IP: count(1, 1_000_000).default(1_000),
  /** Who has more than this waiting and does not read is cut. */
  SOCKET_BUFFER_BYTES: count(65_536, 1_000_000_000).default(1_048_576),
  /** Unset: 5 s, or less where the shutdown has less. */
  SOCKET_DRAIN_MS: count(0, 600_000).optional(),
  MAINTENANCE_MODE: flag.default(false),
  RATE_LIMIT_MAX: count(1, 1_000_000_000).default(100),
  RATE_LIMIT_WINDOW: duration.default(60_000),
  RATE_LIMIT_BAN_DURATION: count(0, 31_536_000).default(3_600),
  MAX_FILE_SIZE_MB: count(1, 10_000).default(50),
  STORAGE_PROVIDER: z.enum(['local']).default('local'),
  STORAGE_DIR: z.string().optional(),
  ANTHROPIC_API_KEY: z.string().optional(),
  ANTHROPIC_BASE_URL: z.url().optional(),
  ANTHROPIC_MODEL: z.string().default('claude-sonnet-4-5'),
  WORKER_CONCURRENCY: count(1, 1_000).default(20),
  QUEUE_CONCURRENCY: concurrencyMap.default({}),
  QUEUE_PREFIX: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,32}$/)
    .default('synap'),
  /** Jobs of one queue that lie in its store at a time; the rest of a backlog waits in Postgres. */
  QUEUE_WINDOW: count(10, 1_000_000).default(10_000),
  WATCHDOG_TIMEOUT_MS: count(1_000, 600_000).default(15_000),
  ISOLATED_MEMORY_MB: count(64, 1_000_000).default(1_024),
  IDEMPOTENCY_TTL: duration.default(24 * 3_600_000),
  RETENTION_JOBS: duration.default(30 * 86_400_000),
  RETENTION_NOTIFICATIONS: duration.default(30 * 86_400_000),
  /** The newest so many of each room are kept, however young the others are. */
  RETENTION_NOTIFICATIONS_PER_ROOM: count(100, 1_000_000_000).default(10_000),
  /** Unset: events are kept for ever. */
  RETENTION_EVENTS: duration.optional(),
  /** A statement that takes as long is in the log; 0: none is. */
  SLOW_QUERY_MS: count(0, 600_000).default(100),
  DB_QUERY_TIMEOUT_MS: count(100, 600_000).default(10_000),
  /** For the fault tests alone; see src/platform/fault-points.ts. */
  FAULT_POINT: z.string().optional(),
  SHUTDOWN_TIMEOUT_MS: count(1_000, 600_000).default(30_000),
  SHUTDOWN_DELAY_MS: count(0, 60_000).default(0),
  SYNAP_DIR: z.string().default('.synap'),
});

type Variables = z.infer<typeof variables>;

export type Config = ReturnType<typeof shape>;

/**
 * The only reader of the environment. Empty variables count as unset, as compose files write them.
 * @throws SynapError `config_invalid` with every fault at once.
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = variables.safeParse(given);
  const faults: Fault[] = parsed.success
    ? rulesBetween(parsed.data)
    : parsed.error.issues.map((issue) => ({ path: String(issue.path[0]), message: issue.message }));
  if (!parsed.success || faults.length > 0) {
    const lines = faults.map((fault) => `${fault.path} ${fault.message}`).join('; ');
    throw new SynapError('config_invalid', lines, { publicMessage: lines, faults });
  }
  return shape(parsed.data);
}

function rulesBetween(v: Variables): Fault[] {
  const faults: Fault[] = [];
  const require = (name: keyof Variables, when: boolean, why: string) => {
    if (when && v[name] === undefined) faults.push({ path: name, message: why });
  };
  const inProduction = v.NODE_ENV === 'production';
  require('DATABASE_URL', inProduction, 'is required in production');
  require('JWT_SECRET', inProduction && v.JWT_JWKS_URL === undefined, 'is required in production, or JWT_JWKS_URL');
  // A key server signs for many applications: without its name anybody's token would do.
  require('JWT_ISSUER', v.JWT_JWKS_URL !== undefined, 'is required with JWT_JWKS_URL');
  const signsSessions = v.JWT_SECRET !== undefined || v.API_KEY !== undefined || v.JWT_JWKS_URL === undefined;
  const hasUnsigned = inProduction && v.OPERATOR_PASSWORD !== undefined && !signsSessions;
  require('JWT_SECRET', hasUnsigned, 'or API_KEY is required with OPERATOR_PASSWORD: it signs the sessions of operators');
  require('REDIS_URL', v.SYNAP_ROLES.length <
    roles.length, 'is required where SYNAP_ROLES names only a part of the roles');
  if (v.SHUTDOWN_DELAY_MS >= v.SHUTDOWN_TIMEOUT_MS)
    faults.push({ path: 'SHUTDOWN_DELAY_MS', message: 'must be less than SHUTDOWN_TIMEOUT_MS' });
  if (v.SOCKET_DRAIN_MS !== undefined && v.SHUTDOWN_DELAY_MS + v.SOCKET_DRAIN_MS >= v.SHUTDOWN_TIMEOUT_MS)
    faults.push({ path: 'SOCKET_DRAIN_MS', message: 'must end before SHUTDOWN_TIMEOUT_MS, after SHUTDOWN_DELAY_MS' });
  if (v.FAULT_POINT !== undefined && (v.NODE_ENV !== 'test' || parseFault(v.FAULT_POINT) === undefined))
    faults.push({ path: 'FAULT_POINT', message: 'is for tests, and must read point:action or point:action@n' });
  if (v.DB_POOL_MIN > v.DB_POOL_MAX) faults.push({ path: 'DB_POOL_MIN', message: 'must not exceed DB_POOL_MAX' });
  return faults;
}

const developmentOrigins = ['http://localhost:5173', 'http://localhost:5174'];

function shape(v: Variables) {
  const isProduction = v.NODE_ENV === 'production';
  return {
    environment: v.NODE_ENV,
    isProduction,
    roles: v.SYNAP_ROLES,
    http: {
      /** In development only this machine is served; containers must listen on all interfaces. */
      host: v.HOST ?? (isProduction ? '0.0.0.0' : '127.0.0.1'),
      port: v.PORT,
      trustProxy: v.TRUST_PROXY,
      /** Reads go on; what would write is told to come back. */
      isInMaintenance: v.MAINTENANCE_MODE,
      allowedOrigins: [...(v.ALLOWED_ORIGINS ?? []), ...(isProduction ? [] : developmentOrigins)],
      bodyLimitBytes: 10 * 1024 * 1024,
      maxFileBytes: v.MAX_FILE_SIZE_MB * 1024 * 1024,
    },
    /** `port` undefined: no internal port (one process in development serves its metrics nowhere but there). */
    metrics: {
      enabled: v.METRICS_ENABLED,
      port: v.METRICS_PORT ?? (isProduction ? 9464 : undefined),
      prefix: v.METRICS_PREFIX,
      defaultLabels: v.METRICS_DEFAULT_LABELS,
    },
    log: { level: v.LOG_LEVEL, pretty: v.PINO_PRETTY ?? !isProduction, hasColour: v.NO_COLOR === undefined },
    database: {
      url: v.DATABASE_URL,
      poolMin: v.DB_POOL_MIN,
      poolMax: v.DB_POOL_MAX,
      idleTimeoutMs: v.DB_IDLE_TIMEOUT,
      queryTimeoutMs: v.DB_QUERY_TIMEOUT_MS,
      slowQueryMs: v.SLOW_QUERY_MS,
    },
    redis: { url: v.REDIS_URL },
    auth: {
      jwtSecret: v.JWT_SECRET,
      /** What a token must be, whoever made it. */
      tokens: {
        jwksUrl: v.JWT_JWKS_URL,
        issuer: v.JWT_ISSUER,
        audience: v.JWT_AUDIENCE,
        clockToleranceSeconds: v.JWT_CLOCK_TOLERANCE,
      },
      apiKey: v.API_KEY,
      operatorName: v.OPERATOR_NAME,
      operatorPassword: v.OPERATOR_PASSWORD,
    },
    sockets: {
      perUser: v.SOCKETS_PER_USER,
      perAddress: v.SOCKETS_PER_IP,
      bufferBytes: v.SOCKET_BUFFER_BYTES,
      drainMs: v.SOCKET_DRAIN_MS ?? Math.min(5_000, (v.SHUTDOWN_TIMEOUT_MS - v.SHUTDOWN_DELAY_MS) / 2),
    },
    rateLimit: { max: v.RATE_LIMIT_MAX, windowMs: v.RATE_LIMIT_WINDOW, banMs: v.RATE_LIMIT_BAN_DURATION * 1_000 },
    storage: { provider: v.STORAGE_PROVIDER, directory: v.STORAGE_DIR ?? `${v.SYNAP_DIR}/storage` },
    assistant: { apiKey: v.ANTHROPIC_API_KEY, baseUrl: v.ANTHROPIC_BASE_URL, model: v.ANTHROPIC_MODEL },
    queues: {
      prefix: v.QUEUE_PREFIX,
      concurrency: v.WORKER_CONCURRENCY,
      concurrencyByType: v.QUEUE_CONCURRENCY,
      window: v.QUEUE_WINDOW,
    },
    worker: { watchdogTimeoutMs: v.WATCHDOG_TIMEOUT_MS, isolatedMemoryMb: v.ISOLATED_MEMORY_MB },
    retention: {
      idempotencyKeysMs: v.IDEMPOTENCY_TTL,
      jobsMs: v.RETENTION_JOBS,
      notificationsMs: v.RETENTION_NOTIFICATIONS,
      notificationsPerRoom: v.RETENTION_NOTIFICATIONS_PER_ROOM,
      eventsMs: v.RETENTION_EVENTS,
    },
    fault: v.FAULT_POINT === undefined ? undefined : parseFault(v.FAULT_POINT),
    shutdownTimeoutMs: v.SHUTDOWN_TIMEOUT_MS,
    /** Between failing readiness and closing the door: as long as a balancer takes to notice. Part of the timeout. */
    shutdownDelayMs: v.SHUTDOWN_DELAY_MS,
    directory: v.SYNAP_DIR,
  };
}

/** Where `synap/testing` makes its databases; undefined: a Postgres of its own. */
export function readTestDatabaseUrl(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const url = environment['TEST_DATABASE_URL'];
  return url === '' ? undefined : url;
}
