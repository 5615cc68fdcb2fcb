import { readConfig, type Config } from '../../platform/config.js';
import { SynapError } from '../../platform/errors.js';
import type { Environment } from '../settings.js';
import { findingsOf, type Finding } from './finding.js';

const { ok, warn, fail } = findingsOf('configuration');

/** Every fault at once. `usable` is the environment without them, so that the other checks can still run where that suffices. */
export function checkConfiguration(environment: Environment): {
  readonly findings: Finding[];
  readonly usable: Environment | undefined;
} {
  try {
    return {
      findings: [ok(describe(readConfig(environment))), ...advise(readConfig(environment))],
      usable: environment,
    };
  } catch (thrown) {
    if (!(thrown instanceof SynapError)) throw thrown;
    const findings = thrown.faults.map(({ path, message }) => fail(`${path} ${message}`, `Correct ${path}.`));
    const faulty = new Set(thrown.faults.map(({ path }) => path));
    const usable = Object.fromEntries(Object.entries(environment).filter(([name]) => !faulty.has(name)));
    return { findings, usable: isValid(usable) ? usable : undefined };
  }
}

function isValid(environment: Environment): boolean {
  try {
    readConfig(environment);
    return true;
  } catch {
    return false;
  }
}

function describe({ environment, roles, redis }: Config): string {
  const mode = redis.url === undefined ? 'a single node without Redis' : 'many processes on Redis';
  return `valid: ${environment}, ${mode}, roles ${roles.join(', ')}`;
}

/** What is allowed in production and rarely meant. */
function advise({ isProduction, auth, http }: Config): Finding[] {
  if (!isProduction) return [];
  return [
    ...(auth.operatorPassword === undefined ? [warn('Bull Board is closed', 'Set OPERATOR_PASSWORD to open it.')] : []),
    ...(http.trustProxy === false
      ? [
          warn(
            'TRUST_PROXY is false: behind a proxy every client has its address',
            'Set TRUST_PROXY to the number of proxies, or leave it where there is none.',
          ),
        ]
      : []),
  ];
}

const oldestNode = [22, 15] as const;
const testedNode = 24;

export function checkNode(version: string): Finding[] {
  const part = findingsOf('node');
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  const advice = `Use Node ${testedNode}.`;
  if (major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1])) {
    return [part.fail(`Node ${version} is older than ${oldestNode.join('.')}`, advice)];
  }
  return [
    major < testedNode
      ? part.warn(`Node ${version}; Synap is tested on ${testedNode}`, advice)
      : part.ok(`Node ${version}`),
  ];
}
