/** `degraded` still serves: what it needs is away, but nothing it promises is broken. */
export type CheckStatus = 'ok' | 'degraded' | 'failed';

export interface Check {
  readonly name: string;
  /** How the part is. */
  run(): Promise<CheckStatus> | CheckStatus;
  /** What it counts as where it throws or does not answer in time; `failed` without it. */
  readonly otherwise?: CheckStatus;
}

export interface Readiness {
  readonly status: CheckStatus;
  readonly checks: Readonly<Record<string, CheckStatus>>;
}

const checkTimeoutMs = 2_000;

/** What a process needs in order to serve; parts add their checks where they are composed. */
export class Health {
  readonly #checks: Check[] = [];

  add(check: Check): void {
    this.#checks.push(check);
  }

  async readiness(): Promise<Readiness> {
    const results = await Promise.all(this.#checks.map(async (check) => [check.name, await runCheck(check)] as const));
    const statuses = results.map(([, status]) => status);
    const status = statuses.includes('failed') ? 'failed' : statuses.includes('degraded') ? 'degraded' : 'ok';
    return { status, checks: Object.fromEntries(results) };
  }
}

/** A check may hang (a frozen Redis). */
async function runCheck(check: Check): Promise<CheckStatus> {
  const otherwise = check.otherwise ?? 'failed';
  const timeout = AbortSignal.timeout(checkTimeoutMs);
  const late = new Promise<CheckStatus>((resolve) => timeout.addEventListener('abort', () => resolve(otherwise)));
  try {
    return await Promise.race([Promise.resolve(check.run()), late]);
  } catch {
    return otherwise;
  }
}
