/** What test/support/global-setup.js left for the test files. */
export function requireEnv(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '')
    throw new Error(`${name} is not set: the tests run under Jest with this repository's configuration`);
  return value;
}
