import type { Config } from '../platform/config.js';
import { version } from '../platform/version.js';
import type { SynapNode } from './node.js';

const demo = { userId: 'demo', days: 30 };

interface BannerOptions {
  readonly config: Config;
  readonly port: number;
  readonly token: string;
  readonly tokenDays: number;
  readonly userId: string;
  readonly store: string;
  readonly hasColour: boolean;
}

function banner({ config, port, token, tokenDays, userId, store, hasColour }: BannerOptions): string {
  const bold = (text: string) => (hasColour ? `\u001B[1m${text}\u001B[22m` : text);
  const dim = (text: string) => (hasColour ? `\u001B[2m${text}\u001B[22m` : text);
  const url = `http://localhost:${port}`;
  const { operatorName, operatorPassword } = config.auth;
  const body = JSON.stringify({ type: 'note.creation.requested', data: { title: 'Hello', content: 'My first note.' } });
  return `
  ${bold('Synap')} ${version} is ready: ${bold(url)}

  ${dim('Page')}         ${url}
  ${dim('Bull Board')}   ${url}/admin/queues  ${dim(`sign in as ${operatorName} with ${operatorPassword ?? '(OPERATOR_PASSWORD)'}`)}
  ${dim('Data')}         ${store}

  Open the page, sign in as ${bold(userId)}, and paste this:

curl -sS ${url}/v1/events \\
  -H 'Content-Type: application/json' \\
  -H 'Authorization: Bearer ${token}' \\
  -d '${body}'

  ${dim(`The token is user "${userId}" for ${tokenDays} days. Another one: bin/synap token --user NAME. Stop with Ctrl-C.`)}
`;
}

/** What a developer sees when Synap is ready: where it is, a token, and a line to paste. */
export async function greet(node: SynapNode, given: Config): Promise<void> {
  const token = await node.tokens.mint(demo.userId, { expiresInSeconds: demo.days * 86_400 });
  const { hostname, pathname } = new URL(node.databaseUrl);
  const database =
    given.database.url === undefined
      ? `${given.directory} (embedded PostgreSQL)`
      : `PostgreSQL at ${hostname}${pathname}`;
  const store = given.redis.url === undefined ? database : `${database}, Redis at ${new URL(given.redis.url).host}`;
  const hasColour = process.stdout.isTTY && given.log.hasColour;
  const text = banner({
    config: node.config,
    port: node.http.port,
    token,
    tokenDays: demo.days,
    userId: demo.userId,
    store,
    hasColour,
  });
  process.stdout.write(`${text}\n`);
}
