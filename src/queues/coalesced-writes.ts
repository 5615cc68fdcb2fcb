import type { Redis } from '../platform/redis.js';

/**
 * What one turn of the event loop sends through this connection leaves in one write. ioredis writes each command by
 * itself, and attempts end together: a batch that was finished is as many system calls as it has jobs, at the same time.
 */
export function coalesceWrites(redis: Redis): void {
  const send = redis.sendCommand.bind(redis);
  let held: Redis['stream'] | undefined;
  redis.sendCommand = (...args) => {
    const { stream, status } = redis;
    // A connection that is being made has its own order of commands.
    if (status === 'ready' && held !== stream) {
      held = stream;
      stream.cork();
      // Behind all promises that were settled in this turn.
      process.nextTick(() => {
        if (held === stream) held = undefined;
        stream.uncork();
      });
    }
    return send(...args);
  };
}
