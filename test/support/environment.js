import { TestEnvironment } from 'jest-environment-node';

/**
 * Node's environment, and nothing may be left running: a process that a test file started and did not stop fails the file.
 * Here and not in an afterAll: those of the file itself come first only this way.
 */
export default class SynapEnvironment extends TestEnvironment {
  #children = new Map();
  #hasFailed = false;
  #endOnExit = () => this.#killAll();

  async setup() {
    await super.setup();
    this.global.synapTestChildren = this.#children;
    acceptErrorsOfNode(this.global.Error);
    process.once('exit', this.#endOnExit);
  }

  handleTestEvent(event) {
    if (event.name === 'test_fn_failure' || event.name === 'hook_failure') this.#hasFailed = true;
  }

  async teardown() {
    process.removeListener('exit', this.#endOnExit);
    const leaked = this.#killAll();
    await super.teardown();
    // A test that failed says more than what it could not stop.
    if (leaked.length > 0 && !this.#hasFailed)
      throw new Error(`This file left processes running: ${leaked.join(', ')}`);
  }

  #killAll() {
    const leaked = [];
    for (const [child, name] of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      leaked.push(name);
      child.kill('SIGKILL');
    }
    this.#children.clear();
    return leaked;
  }
}

/**
 * Jest runs test files in a realm of their own, and what Node's core throws (ENOENT, ECONNREFUSED) is an Error of another. In
 * production there is one realm, so here too such an error must be an `instanceof Error`.
 */
function acceptErrorsOfNode(RealmError) {
  const ordinary = Function.prototype[Symbol.hasInstance];
  Object.defineProperty(RealmError, Symbol.hasInstance, {
    value(candidate) {
      return ordinary.call(this, candidate) || (this === RealmError && Error.isError(candidate));
    },
  });
}
