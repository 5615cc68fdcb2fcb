import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const project = 'synap-drill';
/** Nothing listens beyond this machine, and beside whatever else it serves. */
const ports = { http: '18080', https: '18443' };
export const site = `https://localhost:${ports.https}`;
export const plainSite = `http://localhost:${ports.http}`;

/** docker-compose.prod.yml as an operator has it, with fresh secrets, under a project name of its own. */
export class Stack {
  readonly #folder: string;
  readonly #environment: NodeJS.ProcessEnv;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#environment = {
      ...process.env,
      COMPOSE_FILE: 'docker-compose.prod.yml',
      COMPOSE_ENV_FILES: this.environmentFile,
      COMPOSE_PROJECT_NAME: project,
      BIND_ADDRESS: '127.0.0.1',
      HTTP_PORT: ports.http,
      HTTPS_PORT: ports.https,
      // One address makes all the load here.
      RATE_LIMIT_MAX: '1000000',
    };
  }

  static async create(): Promise<Stack> {
    const stack = new Stack(await mkdtemp(path.join(tmpdir(), `${project}-`)));
    await run('bin/init-production', ['--domain', 'localhost', '--output', stack.environmentFile]);
    return stack;
  }

  get environmentFile(): string {
    return path.join(this.#folder, 'env.production');
  }

  /** @returns what it wrote to stdout. @throws with what it wrote to stderr */
  async compose(...args: string[]): Promise<string> {
    try {
      const { stdout } = await run('docker', ['compose', ...args], {
        env: this.#environment,
        maxBuffer: 64 * 1024 * 1024,
      });
      return stdout.trim();
    } catch (thrown) {
      const { stderr = '' } = thrown as { stderr?: string };
      throw new Error(`docker compose ${args.join(' ')} failed:\n${stderr.slice(-4_000)}`, { cause: thrown });
    }
  }

  /** To a changed setting, which stands here for a new image. */
  async upgrade(): Promise<void> {
    this.#environment['LOG_LEVEL'] = 'warn';
    await run('bin/production-upgrade', [], { env: this.#environment });
  }

  async docker(...args: string[]): Promise<string> {
    const { stdout } = await run('docker', args);
    return stdout.trim();
  }

  async setting(name: string): Promise<string> {
    const text = await readFile(this.environmentFile, 'utf8');
    const value = new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1];
    if (value === undefined) throw new Error(`${name} is not in ${this.environmentFile}`);
    return value;
  }

  /** The authority that Caddy made for "localhost", as a browser's user would import it. */
  async certificateAuthority(): Promise<string> {
    return this.compose('exec', '-T', 'proxy', 'cat', '/data/caddy/pki/authorities/local/root.crt');
  }

  container(service: string, index = 1): string {
    return `${project}-${service}-${index}`;
  }

  /** As a crash does it: the program alone, so that Docker's restart policy sees an exit. */
  async killProgram(service: string): Promise<void> {
    await this.docker('exec', this.container(service), 'bash', '-c', 'kill -9 -1');
  }

  async restarts(service: string): Promise<number> {
    return Number(await this.docker('inspect', '--format', '{{.RestartCount}}', this.container(service)));
  }

  async isHealthy(service: string): Promise<boolean> {
    return (
      (await this.docker('inspect', '--format', '{{.State.Health.Status}}', this.container(service))) === 'healthy'
    );
  }

  /** The containers of the program, and how each ended. */
  async exitCodes(): Promise<Record<string, number>> {
    const lines = (await this.compose('ps', '--all', '--format', '{{.Name}} {{.ExitCode}}')).split('\n');
    return Object.fromEntries(lines.map((line) => line.split(' ')).map(([name = '', code]) => [name, Number(code)]));
  }

  async saveLogs(file: string): Promise<void> {
    await writeFile(file, await this.compose('logs', '--no-color', '--timestamps'));
  }

  async remove(): Promise<void> {
    await this.compose('down', '--volumes', '--timeout', '40');
    await rm(this.#folder, { recursive: true, force: true });
  }
}
