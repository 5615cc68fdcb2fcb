import path from 'node:path';
import { freePort } from '../../test/support/ports.ts';
import { built, root } from '../built.ts';
import type { Place } from '../place.ts';
import { productionFlags } from '../production.ts';
import { Program } from './program.ts';

const { createTokens } = await built('platform/tokens');

const jwtSecret = 'a secret that only the benchmark knows: 0123456789';

export interface SocketIoPeer {
  readonly server: Program;
  readonly port: number;
  readonly authOf: (user: string) => Promise<object>;
}

/** One process of plain Socket.IO, with the flags of a process of Synap. */
export async function startPeer(
  place: Place,
  nodeFlags: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<SocketIoPeer> {
  const port = await freePort();
  const server = await Program.start(path.join(root, 'bench/peers/socket-io.ts'), {
    name: 'socket.io',
    env: { PORT: String(port), REDIS_URL: place.redisUrl, JWT_SECRET: jwtSecret, ...env },
    nodeFlags: [...productionFlags, ...nodeFlags],
  });
  await server.ask('ready');
  const tokens = createTokens(jwtSecret);
  const authOf = async (user: string): Promise<object> => ({
    token: await tokens.mint(user, { expiresInSeconds: 7_200 }),
  });
  return { server, port, authOf };
}
