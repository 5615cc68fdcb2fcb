import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import { Server, type Socket } from 'socket.io';
import { answer } from '../../load/answers.ts';
import type { StartQuestion } from './questions.ts';
import { createVerifier } from './tokens.ts';

// Socket.IO with the Redis adapter: a user's sockets are in the user's room.
async function start({ redisUrl, jwtSecret }: StartQuestion): Promise<number> {
  const verify = createVerifier(jwtSecret);
  const server = createServer();
  const io = new Server(server, { serveClient: false, perMessageDeflate: false });
  io.adapter(createAdapter(new Redis(redisUrl), new Redis(redisUrl), { publishOnSpecificResponseChannel: true }));
  const admit = async (socket: Socket): Promise<Error | undefined> => {
    try {
      await socket.join(`user_${await verify(String(socket.handshake.auth['token']))}`);
      return undefined;
    } catch {
      return new Error('unauthenticated');
    }
  };
  io.use((socket, next) => {
    const decide = async (): Promise<void> => next(await admit(socket));
    void decide();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

answer({ start });
