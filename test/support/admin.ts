import type { JobAdministration } from '../../src/execution/administration.js';
import { startApi, type ApiOptions, type TestApi } from './api.js';
import { seedJob, type Seed } from './operations.js';
import { testApiKey } from './synap.js';

type Body = Record<string, unknown>;

export interface Answer {
  readonly status: number;
  readonly body: Body;
  readonly headers: Headers;
}

/** The real HTTP application, called as an operator calls it. */
export interface TestAdmin {
  readonly api: TestApi;
  readonly administration: JobAdministration;
  call(method: string, path: string, json?: unknown): Promise<Answer>;
  get(path: string): Promise<Answer>;
  post(path: string, json?: unknown): Promise<Answer>;
  /** A dead job and its dead letter. */
  dead(seed?: Omit<Seed, 'state'>): Promise<string>;
  query(text: string, values?: unknown[]): Promise<Body[]>;
  /** What the audit log has on it. */
  actsOn(target: string): Promise<Body[]>;
}

export async function startAdmin(options: ApiOptions = {}): Promise<TestAdmin> {
  const api = await startApi(options);
  const { pool } = api.deps.database;
  const query = async (text: string, values: unknown[] = []) => (await pool.query<Body>(text, values)).rows;
  async function call(method: string, path: string, json?: unknown): Promise<Answer> {
    const headers = { 'X-API-Key': testApiKey };
    const response = await api.call(`/v1/admin${path}`, { method, headers, ...(json !== undefined && { json }) });
    return { status: response.status, body: (await response.json()) as Body, headers: response.headers };
  }
  return {
    api,
    administration: api.deps.admin.administration,
    call,
    get: (path) => call('GET', path),
    post: (path, json = {}) => call('POST', path, json),
    dead: async (seed = {}) => (await seedJob({ pool }, { state: 'dead', ...seed })).id,
    query,
    actsOn: (target) => query('SELECT actor, action FROM audit_log WHERE target = $1 ORDER BY at', [target]),
  };
}

/** The paths of the faults that a problem names. */
export const faultsOf = ({ body }: Answer): string[] => (body['errors'] as { path: string }[]).map(({ path }) => path);
export const itemsOf = ({ body }: Answer): Body[] => body['items'] as Body[];
