/** `warn`: it works, and somebody should know. `fail`: a promise of Synap does not hold. */
export interface Finding {
  readonly part: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly message: string;
  /** What to do about it. */
  readonly advice?: string;
}

/** Makes the findings of one part. */
export function findingsOf(part: string) {
  return {
    ok: (message: string): Finding => ({ part, status: 'ok', message }),
    warn: (message: string, advice: string): Finding => ({ part, status: 'warn', message, advice }),
    fail: (message: string, advice: string): Finding => ({ part, status: 'fail', message, advice }),
  };
}
