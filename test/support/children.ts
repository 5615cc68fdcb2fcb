import type { ChildProcess } from 'node:child_process';

declare global {
  /** Set by test/support/environment.js, which fails the test file for what is still running at its end. */
  var synapTestChildren: Map<ChildProcess, string>;
}

export function watchChild(child: ChildProcess, name: string): void {
  globalThis.synapTestChildren.set(child, name);
  child.once('exit', () => globalThis.synapTestChildren.delete(child));
}
