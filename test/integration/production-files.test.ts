import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { readConfig } from '../../src/platform/config.js';

// What can be told of production without a container engine; bin/production-drill has the rest.

const run = promisify(execFile);
const secrets = ['JWT_SECRET', 'API_KEY', 'OPERATOR_PASSWORD', 'POSTGRES_PASSWORD', 'REDIS_PASSWORD'];
let folder: string;
let output: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'synap-production-'));
  output = path.join(folder, '.env.production');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const initialize = (...args: string[]) => run('bin/init-production', ['--output', output, ...args]);

async function settings(file = output): Promise<Record<string, string>> {
  const lines = (await readFile(file, 'utf8')).matchAll(/^([A-Z_]+)=(.*)$/gm);
  return Object.fromEntries([...lines].map(([, name = '', value = '']) => [name, value]));
}

const variablesOf = (text: string) => new Set([...text.matchAll(/\$\{([A-Z_]+)/g)].map(([, name = '']) => name));

test('bin/init-production writes secrets that Synap accepts, for its owner only, and tells the password once', async () => {
  const { stdout } = await initialize('--domain', 'synap.example.com', '--origin', 'https://app.example.com');
  const written = await settings();
  expect((await stat(output)).mode & 0o777).toBe(0o600);
  expect(new Set(secrets.map((name) => written[name])).size).toBe(secrets.length);
  expect(stdout).toContain(written['OPERATOR_PASSWORD'] ?? 'nothing');
  expect(stdout).not.toContain(written['JWT_SECRET']);
  const config = readConfig({ ...written, NODE_ENV: 'production', DATABASE_URL: 'postgresql://postgres/synap' });
  expect(config.http.allowedOrigins).toEqual(['https://synap.example.com', 'https://app.example.com']);
});

test('two runs make different secrets', async () => {
  await initialize('--domain', 'localhost');
  const first = await settings();
  await initialize('--domain', 'localhost', '--force');
  const second = await settings();
  expect(secrets.filter((name) => first[name] === second[name])).toEqual([]);
});

test('what is there is not replaced unless that is asked for, and then kept', async () => {
  await initialize('--domain', 'localhost');
  const before = await settings();
  await expect(initialize('--domain', 'localhost')).rejects.toMatchObject({ code: 1 });
  expect(await settings()).toEqual(before);
  await initialize('--domain', 'localhost', '--force');
  const kept = (await readdir(folder)).find((name) => name.startsWith('.env.production.'));
  expect(await settings(path.join(folder, kept ?? 'nothing'))).toEqual(before);
});

test.each([
  ['a domain with a scheme', ['--domain', 'https://synap.example.com']],
  ['a domain that would be code', ['--domain', 'a;b']],
  ['an origin with a path', ['--domain', 'localhost', '--origin', 'https://app.example.com/']],
  ['an origin that is a word', ['--domain', 'localhost', '--origin', 'app']],
  ['no domain', []],
])('%s is refused', async (_what, args) => {
  await expect(initialize(...args)).rejects.toMatchObject({ code: 1 });
  expect(await readdir(folder)).toEqual([]);
});

test('the compose file reads every setting of the example, and asks for no secret that is not in it', async () => {
  const example = await settings('.env.production.example');
  const read = variablesOf(await readFile('docker-compose.prod.yml', 'utf8'));
  // Compose itself reads this one.
  expect(Object.keys(example).filter((name) => !read.has(name) && name !== 'COMPOSE_PROFILES')).toEqual([]);
  const required = [...(await readFile('docker-compose.prod.yml', 'utf8')).matchAll(/\$\{([A-Z_]+):\?/g)];
  expect(required.filter(([, name = '']) => example[name] === undefined)).toEqual([]);
});

test('the image gets every file that its Dockerfile copies', async () => {
  const allowed = (await readFile('.dockerignore', 'utf8')).split('\n').filter((line) => line.startsWith('!'));
  const copies = [...(await readFile('docker/Dockerfile', 'utf8')).matchAll(/^COPY (?!--from)(.+) \S+$/gm)];
  const sources = copies.flatMap(([, list = '']) => list.split(' '));
  const isAllowed = (source: string) => allowed.some((line) => `${source}/`.startsWith(`${line.slice(1)}/`));
  expect(sources.length).toBeGreaterThan(5);
  expect(sources.filter((source) => !isAllowed(source))).toEqual([]);
});

test('every variable that Synap reads stands where an operator looks', async () => {
  const source = await readFile('src/platform/config.ts', 'utf8');
  const names = [...source.matchAll(/^ {2}([A-Z][A-Z_]+):/gm)].map(([, name = '']) => name);
  expect(names.length).toBeGreaterThan(50);
  const documents = (await readdir('docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`);
  const texts = await Promise.all(['.env.production.example', ...documents].map((file) => readFile(file, 'utf8')));
  const told = new Set(texts.flatMap((text) => text.match(/\b[A-Z][A-Z_]+\b/g)));
  // Of tests alone.
  expect(names.filter((name) => !told.has(name) && name !== 'FAULT_POINT')).toEqual([]);
});

test('docs/operating.md names settings, services and commands that exist', async () => {
  const document = await readFile('docs/operating.md', 'utf8');
  const compose = await readFile('docker-compose.prod.yml', 'utf8');
  const known = { ...(await settings('.env.production.example')), COMPOSE_FILE: '', COMPOSE_ENV_FILES: '' };
  const named = [...document.matchAll(/^(?:export )?([A-Z]+(?:_[A-Z]+)+)=/gm)].map(([, name = '']) => name);
  expect(named.filter((name) => !(name in known))).toEqual([]);
  const services = [...document.matchAll(/docker compose (?:exec|run)(?: -T| --rm| --no-deps)* (\w+)/g)];
  expect(services.length).toBeGreaterThan(5);
  expect(services.filter(([, name = '']) => !compose.includes(`\n  ${name}:\n`))).toEqual([]);
  const scripts = [...document.matchAll(/bin\/[a-z-]+/g)].map(([script]) => script);
  await Promise.all(scripts.map((script) => stat(script)));
});
