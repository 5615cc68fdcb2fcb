/** Entries of a tail, the bytes of one that is kept, and of all. */
export const tailBounds = { entries: 100, entryBytes: 8_192, bytes: 65_536 } as const;
/** Who comes back from a deploy or a tunnel does so within this; user rooms stay warm for longer, but not with what was said in them. */
const tailMs = 120_000;
/** What a publisher knew of Postgres longer ago than this proves nothing about a room that Redis has forgotten since. */
const freshMs = 30_000;

/** Whether a room's top may be behind what was published in an earlier life of the room: for ever, unless Redis is new, no. */
export const trust = { none: 0, inOldRedis: 1, proven: 2 } as const;

/**
 * Publishes entries of rooms in order, once: `seq <= top` is there already, `seq > top + 1` (or a cold room) is a gap, which stops its
 * room alone. It may run again with the same arguments, which ioredis does when an answer was lost. What was published is kept in the
 * room's tail for those who come back; what is too large cuts it, and so does a jump of the floor, so that it always ends at `top`
 * without a hole.
 *
 * A room begins when it is cold and something says where: then `born` is Redis' time in microseconds, `proof` the newest seq that
 * Postgres had, and `trust` depends on how fresh the publisher's knowledge is. `resumeScript` needs them.
 *
 * KEYS     of each room three: its top, the newest seq published in this life of Redis (it expires, and the room is cold then); its
 *          tail; its streams
 * ARGV     of each room: lifetime in ms, channel, floor or -1, head in Postgres, when that was so in ms, number of entries; of each
 *          entry: seq, frame, the event whose stream it ends (or nothing)
 * Returns  of each room {1 where a gap stopped it else 0, top or -1 where cold, number of frames published}
 */
export const publishScript = `
local function publish(topKey, tailKey, streamsKey, lifetime, channel, floor, head, asOf, first, last)
  local top, born, proof, trust, bytes = -1, 0, 0, 0, 0
  local known = redis.call('GET', topKey)
  if known then
    local a, b, c, d, e = string.match(known, '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
    top, born, proof, trust, bytes = tonumber(a), tonumber(b), tonumber(c), tonumber(d), tonumber(e)
  end
  if floor > top then
    if top == -1 then
      local now = redis.call('TIME')
      born = now[1] * 1000000 + now[2]
      if math.abs(now[1] * 1000 - asOf) <= ${freshMs} then trust = ${trust.inOldRedis} end
      proof = head
    end
    top = floor
    redis.call('DEL', tailKey)
  end
  if top == -1 then return {1, -1, 0} end
  local fresh, gap = 0, 0
  for i = first, last, 3 do
    local seq, frame, ended = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2]
    if seq > top + 1 then
      gap = 1
      break
    end
    if seq == top + 1 then
      redis.call('PUBLISH', channel, frame)
      top = seq
      fresh = fresh + 1
      if ended ~= '' and redis.call('HDEL', streamsKey, ended) == 1 then redis.call('DEL', streamsKey .. ':' .. ended) end
      if #frame > ${tailBounds.entryBytes} then
        redis.call('DEL', tailKey)
      else
        local kept = redis.call('RPUSH', tailKey, frame)
        if kept == 1 then bytes = 0 end
        bytes = bytes + #frame
        while kept > ${tailBounds.entries} or bytes > ${tailBounds.bytes} do
          bytes = bytes - #redis.call('LPOP', tailKey)
          kept = kept - 1
        end
      end
    end
  end
  if fresh > 0 then redis.call('PEXPIRE', tailKey, ${tailMs}) end
  redis.call('SET', topKey, string.format('%d %d %d %d %d', top, born, proof, trust, bytes), 'PX', lifetime)
  return {gap, top, fresh}
end

local results, at = {}, 1
for room = 1, #KEYS / 3 do
  local key, count = room * 3 - 2, tonumber(ARGV[at + 5])
  local first = at + 6
  results[room] = publish(KEYS[key], KEYS[key + 1], KEYS[key + 2], ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]),
    tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), first, first + count * 3 - 1)
  at = first + count * 3
end
return results
`;
