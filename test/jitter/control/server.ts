import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';

// What a team writes on its first day: Socket.IO with the Redis adapter, a room for each user.
const publisher = new Redis(process.env['REDIS_URL'] ?? '', { maxRetriesPerRequest: null });
const subscriber = publisher.duplicate();
for (const redis of [publisher, subscriber]) redis.on('error', () => undefined);
// The adapter drops the promises of what it sends.
process.on('unhandledRejection', () => undefined);
process.stdin.resume().once('end', () => process.exit(1));

const http = createServer();
const io = new Server(http, { adapter: createAdapter(publisher, subscriber), perMessageDeflate: false });
io.on('connection', (socket) => {
  void socket.join(String(socket.handshake.auth['room']));
});
http.listen(Number(process.env['PORT']), '127.0.0.1', () => process.stdout.write('{"msg":"the control is ready"}\n'));
