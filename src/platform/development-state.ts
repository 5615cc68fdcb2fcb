import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';

/**
 * What a development Synap made up for itself and must know again at its next start, or yesterday's tokens are worth
 * nothing; and where the CLI finds it. Never used in production, where all of this is configured.
 */
const stateSchema = z.object({
  jwtSecret: z.string(),
  apiKey: z.string(),
  operatorPassword: z.string(),
  /** Of the Synap that runs now, or ran last. */
  url: z.string().optional(),
  databaseUrl: z.string().optional(),
  redisUrl: z.string().optional(),
  pid: z.number().optional(),
});
export type DevelopmentState = z.infer<typeof stateSchema>;

const fileIn = (directory: string) => path.join(directory, 'state.json');

/** Undefined where there is none, or none that can be read: then a new one is made. */
export async function readDevelopmentState(directory: string): Promise<DevelopmentState | undefined> {
  try {
    return stateSchema.safeParse(JSON.parse(await readFile(fileIn(directory), 'utf8'))).data;
  } catch {
    return undefined;
  }
}

export function newDevelopmentState(): DevelopmentState {
  const secret = (bytes: number) => randomBytes(bytes).toString('base64url');
  return { jwtSecret: secret(36), apiKey: secret(30), operatorPassword: secret(12) };
}

/** Readable by this user alone, and whole or not at all. */
export async function writeDevelopmentState(directory: string, state: DevelopmentState): Promise<void> {
  await mkdir(directory, { recursive: true });
  const draft = `${fileIn(directory)}.${process.pid}`;
  await writeFile(draft, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  await chmod(draft, 0o600);
  await rename(draft, fileIn(directory));
}
