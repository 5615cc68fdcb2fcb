/** Entries of a tail, the bytes of one that is kept, and of all. */
export const tailBounds = { entries: 100, entryBytes: 8_192, bytes: 65_536 } as const;
/** Who comes back from a deploy or a tunnel does so within this; user rooms stay warm for longer, but not with what was said in them. */
const tailMs = 120_000;
/** What a publisher knew of Postgres longer ago than this proves nothing about a room that Redis has forgotten since. */
const freshMs = 30_000;

/** Whether a room's top may be behind what was published in an earlier life of the room: for ever, unless Redis is new, no. */
export const trust = { none: 0, inOldRedis: 1, proven: 2 } as const;

/**
 * Publishes entries of one room in order, once: `seq <= top` is there already, `seq > top + 1` (or a cold room) is a gap. It
 * may run again with the same arguments, which ioredis does when an answer was lost. What was published is kept in the room's tail
 * for those who come back; what is too large cuts it, and so does a jump of the floor, so that it always ends at `top` without a hole.
 *
 * A room begins when it is cold and something says where: then `born` is Redis' time in microseconds, `proof` the newest seq that
 * Postgres had, and `trust` depends on how fresh the publisher's knowledge is. `resumeScript` needs them.
 *
 * KEYS[1]  the room's top: the newest seq published in this life of Redis; it expires, and its room is cold then
 * KEYS[2]  its tail
 * KEYS[3]  its streams
 * ARGV     1 lifetime in ms, 2 channel, 3 floor or -1, 4 head in Postgres, 5 when that was so in ms, then in turns seq, frame and the
 *          event whose stream it ends (or nothing)
 * Returns  {1 where a gap stopped it else 0, top or -1 where cold, number of frames published}
 */
export const publishScript = `
local top, born, proof, trust, bytes = -1, 0, 0, 0, 0
local known = redis.call('GET', KEYS[1])
if known then
  local a, b, c, d, e = string.match(known, '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
  top, born, proof, trust, bytes = tonumber(a), tonumber(b), tonumber(c), tonumber(d), tonumber(e)
end
local floor = tonumber(ARGV[3])
if floor > top then
  if top == -1 then
    local now = redis.call('TIME')
    born = now[1] * 1000000 + now[2]
    if math.abs(now[1] * 1000 - tonumber(ARGV[5])) <= ${freshMs} then trust = ${trust.inOldRedis} end
    proof = tonumber(ARGV[4])
  end
  top = floor
  redis.call('DEL', KEYS[2])
end
if top == -1 then return {1, -1, 0} end
local fresh, gap = 0, 0
for i = 6, #ARGV, 3 do
  local seq, frame, ended = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2]
  if seq > top + 1 then
    gap = 1
    break
  end
  if seq == top + 1 then
    redis.call('PUBLISH', ARGV[2], frame)
    top = seq
    fresh = fresh + 1
    if ended ~= '' then
      redis.call('HDEL', KEYS[3], ended)
      redis.call('DEL', KEYS[3] .. ':' .. ended)
    end
    if #frame > ${tailBounds.entryBytes} then
      redis.call('DEL', KEYS[2])
    else
      local kept = redis.call('RPUSH', KEYS[2], frame)
      if kept == 1 then bytes = 0 end
      bytes = bytes + #frame
      while kept > ${tailBounds.entries} or bytes > ${tailBounds.bytes} do
        bytes = bytes - #redis.call('LPOP', KEYS[2])
        kept = kept - 1
      end
    end
  end
end
if fresh > 0 then redis.call('PEXPIRE', KEYS[2], ${tailMs}) end
redis.call('SET', KEYS[1], string.format('%d %d %d %d %d', top, born, proof, trust, bytes), 'PX', ARGV[1])
return {gap, top, fresh}
`;
