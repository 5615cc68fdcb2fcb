import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import jwt from 'jsonwebtoken';
import { Server, type DefaultEventsMap } from 'socket.io';
import { answer, given } from '../load/answers.ts';

/**
 * What its user would write instead, with what the documentation advises: Socket.IO on the Redis adapter, no compression, the first
 * request of each connection let go, a token verified at the handshake, a room for each user. Nothing is stored.
 */
const secret = given('JWT_SECRET');
const http = createServer();
const pub = new Redis(given('REDIS_URL'));
const sub = pub.duplicate();
const io = new Server<DefaultEventsMap, DefaultEventsMap, DefaultEventsMap, { userId: string }>(http, {
  perMessageDeflate: false,
  serveClient: false,
  adapter: createAdapter(pub, sub, { publishOnSpecificResponseChannel: true }),
});
io.engine.on('connection', (connection: { request: unknown }) => {
  connection.request = null;
});
io.use((socket, next) => {
  try {
    const claims = jwt.verify(String(socket.handshake.auth['token']), secret, { algorithms: ['HS256'] });
    if (typeof claims === 'string') throw new Error('no claims');
    socket.data = { userId: claims.sub ?? '' };
    next();
  } catch {
    next(new Error('unauthorized'));
  }
});
io.on('connection', (socket) => {
  void socket.join(`user_${socket.data.userId}`);
  socket.emit('ready', { connectionId: socket.id, userId: socket.data.userId });
});
http.listen(Number(given('PORT')), '127.0.0.1');

answer({ ready: () => pub.ping() });
