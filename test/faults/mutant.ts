import { chmod, cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface Patch {
  /** In dist, without its ending. */
  readonly file: string;
  /** Must be there exactly once, in the build as in the source that it is made of. */
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

async function apply(patch: Patch, dist: string): Promise<void> {
  const target = path.join(dist, `${patch.file}.js`);
  await writeFile(target, patched(await readFile(target, 'utf8'), patch));
}

/** @throws Error where the text has not exactly one place for the patch: then it would take out nothing, or something else. */
export function patched(text: string, { file, find, replace }: Patch): string {
  const parts = text.split(find);
  if (parts.length !== 2)
    throw new Error(`${file} has "${find}" ${parts.length - 1} times; a mutation must fit exactly once`);
  return parts.join(replace);
}
