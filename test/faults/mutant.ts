import { chmod, cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface Patch {
  /** In dist, without its ending. */
  readonly file: string;
  /** Must be there exactly once. */
  readonly find: string;
  readonly replace: string;
}

const root = path.resolve(import.meta.dirname, '../..');

/** Gives `use` a copy of the build without a guard, with what it finds beside it. */
export async function withMutant<T>(patches: readonly Patch[], use: (dist: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(path.join(tmpdir(), 'synap-mutant-'));
  try {
    // The programs of Postgres' account do not come by here, but the build's own folder must be readable.
    await chmod(directory, 0o755);
    const dist = path.join(directory, 'dist');
    await cp(path.join(root, 'dist'), dist, { recursive: true });
    for (const name of ['node_modules', 'prisma', 'package.json'])
      await symlink(path.join(root, name), path.join(directory, name));
    for (const patch of patches) await apply(patch, dist);
    return await use(dist);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function apply({ file, find, replace }: Patch, dist: string): Promise<void> {
  const target = path.join(dist, `${file}.js`);
  const text = await readFile(target, 'utf8');
  const [before, after, ...more] = text.split(find);
  if (before === undefined || after === undefined || more.length > 0)
    throw new Error(`${file} has "${find}" ${text.split(find).length - 1} times; a mutation must fit exactly once`);
  await writeFile(target, `${before}${replace}${after}`);
}
