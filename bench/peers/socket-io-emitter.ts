import { Emitter } from '@socket.io/redis-emitter';
import { Redis } from 'ioredis';
import { answer, Credit, given } from '../load/answers.ts';
import {
  dataOf,
  epoch,
  eventId,
  noticeId,
  noticeType,
  requestIdOf,
  userOf,
  type PublishRequest,
  type Target,
} from '../load/notices.ts';

/** The other process of a hand-made stack, which has something to say: the emitter that Socket.IO has for it. */
const redis = new Redis(given('REDIS_URL'), { enableAutoPipelining: given('AUTO_PIPELINING') === 'true' });
const emitter = new Emitter(redis);
const credit = new Credit();
const timestamp = new Date().toISOString();

function emit(n: number, { users }: Target): void {
  const room = `user_${userOf(n % users)}`;
  emitter.to(room).emit('notification', {
    ...{ id: noticeId(n), type: noticeType, data: dataOf(n), status: 'success', timestamp },
    ...{ requestId: requestIdOf(n), eventId: eventId(n), room, seq: Math.floor(n / users) + 1, epoch },
  });
}

answer({
  publish: (request: PublishRequest) =>
    credit.publish(request, (n, some) => {
      for (let index = 0; index < some; index += 1) emit(n + index, request.target);
    }),
  credit: credit.arrived,
  ready: () => redis.ping(),
});
