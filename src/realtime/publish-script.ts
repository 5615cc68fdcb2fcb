/**
 * Publishes entries of one room in order, once: `seq <= top` is there already, `seq > top + 1` (or a cold room) is a gap. It
 * may run again with the same arguments, which ioredis does when an answer was lost.
 *
 * KEYS[1]  the room's top: the newest seq published in this life of Redis; it expires, and its room is cold then
 * ARGV     1 lifetime in ms, 2 channel, 3 floor or -1, then seq and frame in turns
 * Returns  {1 where a gap stopped it else 0, top or -1 where cold, number of frames published}
 */
export const publishScript = `
local top = tonumber(redis.call('GET', KEYS[1]) or -1)
local floor = tonumber(ARGV[3])
if floor > top then top = floor end
if top == -1 then return {1, -1, 0} end
local fresh = 0
local gap = 0
for i = 4, #ARGV, 2 do
  local seq = tonumber(ARGV[i])
  if seq > top + 1 then
    gap = 1
    break
  end
  if seq == top + 1 then
    redis.call('PUBLISH', ARGV[2], ARGV[i + 1])
    top = seq
    fresh = fresh + 1
  end
end
redis.call('SET', KEYS[1], string.format('%d', top), 'PX', ARGV[1])
return {gap, top, fresh}
`;
