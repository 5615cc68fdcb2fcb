/** What the engine says, and records with a failed migration, is a preamble, what Postgres said, and its own stack. */
export function summarizeEngineLog(log: string): string {
  const said = /(?:ERROR|FATAL): .*/.exec(log) ?? /\S.*/.exec(log);
  return said?.[0] ?? 'no reason is recorded';
}
