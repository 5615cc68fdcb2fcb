export default async function globalTeardown() {
  for (const step of globalThis.synapTestCleanUp?.toReversed() ?? []) await step();
}
