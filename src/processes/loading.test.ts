import { expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The packages that a process loads until its role may start. */
async function packagesOf(role: string): Promise<Set<string>> {
  const script = `
    import { registerHooks } from 'node:module';
    const packages = new Set();
    registerHooks({ load(url, context, next) {
      const name = /.*\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1];
      if (name !== undefined) packages.add(name);
      return next(url, context);
    } });
    for (const file of ['features/index.js', 'processes/program.js', 'processes/start.js', 'processes/${role}.js'])
      await import(new URL('dist/' + file, 'file://' + process.cwd() + '/'));
    console.log(JSON.stringify([...packages]));
    process.exit(0);`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
    env: { PATH: process.env['PATH'] ?? '' },
  });
  return new Set(JSON.parse(stdout) as string[]);
}

/** Large, and for some who may never come: readers, an assistant's first question, operators, whoever reads a log on a terminal. */
const onDemand = [
  '@prisma/client',
  '@prisma/adapter-pg',
  '@anthropic-ai/sdk',
  '@bull-board/api',
  '@bull-board/express',
  'pino-pretty',
];
const ofApi = ['express-rate-limit', '@fastify/busboy'];
const ofRealtime = ['socket.io', 'engine.io'];

test.each([
  ['api', [...onDemand, ...ofRealtime]],
  ['worker', [...onDemand, ...ofRealtime, ...ofApi]],
  ['dispatcher', [...onDemand, ...ofRealtime, ...ofApi]],
  ['realtime', onDemand],
])('the role %s starts without what it does not run', async (role, spared) => {
  const packages = await packagesOf(role);
  expect(packages).toContain('bullmq');
  expect(spared.filter((name) => packages.has(name))).toEqual([]);
});
