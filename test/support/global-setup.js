import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * Once per run: build (tests start the real processes from dist), one Postgres with a migrated template database, one Redis.
 * Plain JavaScript, because Jest leaves this file to Node.
 */
export default async function globalSetup({ rootDir }) {
  checkNode();
  build(rootDir);
  const fromDist = (file) => import(pathToFileURL(path.join(rootDir, 'dist', file)).href);
  const [{ pino }, { startEmbeddedPostgres }] = await Promise.all([
    import('pino'),
    fromDist('platform/embedded-postgres.js'),
  ]);
  const logger = pino({ level: 'warn' });
  const home = await mkdtemp(path.join(tmpdir(), 'synap-test-'));
  // The database's own account must be able to pass through.
  await chmod(home, 0o711);
  const cleanUp = [() => rm(home, { recursive: true, force: true })];
  globalThis.synapTestCleanUp = cleanUp;
  process.env.SYNAP_TEST_HOME = home;
  // Ctrl-C leaves out Jest's teardown; what was started listens for the end of this process.
  process.once('exit', () => rmSync(home, { recursive: true, force: true, maxRetries: 3 }));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));

  if (!process.env.TEST_DATABASE_URL) {
    const settings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '300' };
    const postgres = await startEmbeddedPostgres({ directory: path.join(home, 'postgres'), logger, settings });
    cleanUp.push(postgres.stop);
    process.env.TEST_DATABASE_URL = postgres.databaseUrl;
  }
  const { prepareTemplate } = await fromDist('testing/template-database.js');
  const { applyMigrations } = await fromDist('platform/migrate.js');
  const migrationsDir = path.join(rootDir, 'prisma/migrations');
  process.env.SYNAP_TEST_TEMPLATE = await prepareTemplate({
    databaseUrl: process.env.TEST_DATABASE_URL,
    migrationsDir,
    migrate: (databaseUrl) => applyMigrations({ databaseUrl, migrationsDir, logger }),
  });
  process.env.SYNAP_TEST_REDIS_URL = process.env.REDIS_URL || (await startSharedRedis(cleanUp));
}

async function startSharedRedis(cleanUp) {
  const { spawnRedis } = await import('./redis-server.ts');
  const redis = await spawnRedis();
  process.once('exit', () => redis.child.kill('SIGKILL'));
  cleanUp.push(redis.stop);
  return redis.url;
}

function checkNode() {
  if (Number.parseInt(process.versions.node, 10) < 24) {
    throw new Error(`The tests need Node 24, this is ${process.versions.node}. bin/test brings it along.`);
  }
}

function build(rootDir) {
  if (process.env.SYNAP_IS_BUILT) return;
  const result = spawnSync('bash', [path.join(rootDir, 'bin/lib/build.sh')], { cwd: rootDir, encoding: 'utf8' });
  // Types are the business of another check; a file that cannot be read at all shows itself at once.
  if (result.status !== 0) console.error(`The build has errors:\n${result.stdout}${result.stderr}`);
}
