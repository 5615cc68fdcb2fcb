import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { applyDiff, type TitledBlock } from './markdown.js';

const run = promisify(execFile);
const repository = process.cwd();
const copied = ['src', 'prisma', 'test/support', 'package.json', 'tsconfig.json', 'prisma.config.ts', 'jest.config.js'];

/** What a reader of the documents would do, done in a copy of the repository. */
export interface RepositoryCopy {
  readonly directory: string;
  put(block: TitledBlock): Promise<void>;
  /** Runs a script below node_modules. @throws Error with what it wrote. */
  tool(script: string, ...args: string[]): Promise<void>;
  /** Runs Node. @throws Error with what it wrote. */
  node(...args: string[]): Promise<void>;
  /** Types of the features, with what was put there. */
  typeCheck(): Promise<void>;
  remove(): Promise<void>;
}

export const readDocument = (name: string): Promise<string> => readFile(path.join(repository, 'docs', name), 'utf8');

export async function copyRepository(): Promise<RepositoryCopy> {
  const directory = await mkdtemp(path.join(tmpdir(), 'synap-docs-'));
  const inCopy = (...names: string[]) => path.join(directory, ...names);
  for (const name of copied) await cp(path.join(repository, name), inCopy(name), { recursive: true });
  // Jest looks for tests there.
  await mkdir(inCopy('bench'));
  for (const name of ['node_modules', 'dist']) await symlink(path.join(repository, name), inCopy(name));
  await writeFile(inCopy('tsconfig.docs.json'), '{ "extends": "./tsconfig.json", "include": ["src/features"] }');

  const node = async (...args: string[]) => {
    // The tools find each other on the PATH, as npm's scripts let them.
    const PATH = `${inCopy('node_modules/.bin')}${path.delimiter}${process.env['PATH'] ?? ''}`;
    const env = { ...process.env, PATH, SYNAP_IS_BUILT: '1', NODE_OPTIONS: '', JEST_WORKER_ID: undefined };
    try {
      await run(process.execPath, args, { cwd: directory, env });
    } catch (thrown) {
      const { stdout, stderr } = thrown as { stdout: string; stderr: string };
      throw new Error(`node ${args.join(' ')}\n${stdout}\n${stderr}`, { cause: thrown });
    }
  };
  const tool = (script: string, ...args: string[]) =>
    node('--experimental-vm-modules', inCopy('node_modules', script), ...args);

  return {
    directory,
    node,
    tool,
    typeCheck: () => tool('typescript/bin/tsc', '-p', 'tsconfig.docs.json', '--noEmit'),
    async put({ language, file, text }) {
      const target = inCopy(file);
      const before = await readFile(target, 'utf8').catch(() => '');
      const after = file.endsWith('.prisma') ? `${before}\n${text}` : text;
      await mkdir(path.dirname(target), { recursive: true });
      await writeFile(target, language === 'diff' ? applyDiff(before, text) : after);
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
