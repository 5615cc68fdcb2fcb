import { trust } from './publish-script.js';
import type { StreamBounds } from '../publishing/stream-texts.js';

/**
 * Reads what a room has after a seq, and the texts that are being written in it.
 *
 * KEYS     1 top, 2 tail, 3 streams
 * ARGV     the seq that the reader has, or -1 to read streams alone
 * Returns  {top or -1, born, proof, trust, 1 where the tail has all that comes after the seq else 0, frames, streams: event id, attempt and
 *          text in turns}
 */
export const resumeScript = `
local since = tonumber(ARGV[1])
local top, born, proof, trust, isAll, frames = -1, 0, 0, 0, 0, {}
local known = since >= 0 and redis.call('GET', KEYS[1])
if known then
  local a, b, c, d = string.match(known, '^(%d+) (%d+) (%d+) (%d+)')
  top, born, proof, trust = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
  local missing = top - since
  if missing == 0 then
    isAll = 1
  elseif missing > 0 and redis.call('LLEN', KEYS[2]) >= missing then
    isAll = 1
    frames = redis.call('LRANGE', KEYS[2], -missing, -1)
  end
end
local streams = {}
local index = redis.call('HGETALL', KEYS[3])
for i = 1, #index, 2 do
  local attempt, length = string.match(index[i + 1], '^(%d+) (-?%d+)$')
  local text = tonumber(length) > 0 and redis.call('GET', KEYS[3] .. ':' .. index[i])
  if text then
    streams[#streams + 1] = index[i]
    streams[#streams + 1] = attempt
    streams[#streams + 1] = text
  end
end
return {top, born, proof, trust, isAll, frames, streams}
`;

/**
 * Since when this life of Redis is known to go on, in its seconds: now, if nobody has asked before.
 *
 * KEYS[1]  life   ARGV  lifetime in ms
 */
export const lifeScript = `
local since = redis.call('GET', KEYS[1])
if not since then
  since = redis.call('TIME')[1]
  redis.call('SET', KEYS[1], since)
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return tonumber(since)
`;

/**
 * What Postgres had when it was asked after the room was seen: all that an earlier life of the room can have published. From there
 * on the room is believed, if it is still the one that was seen.
 *
 * KEYS[1]  top   ARGV  1 born, 2 head in Postgres
 */
export const proveScript = `
local known = redis.call('GET', KEYS[1])
if not known then return 0 end
local top, born, bytes = string.match(known, '^(%d+) (%d+) %d+ %d+ (%d+)$')
if born ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], top .. ' ' .. born .. ' ' .. ARGV[2] .. ' ${trust.proven} ' .. bytes, 'KEEPTTL')
return 1
`;

/**
 * Publishes a piece of text and keeps it behind what came before, so that who comes in the middle gets all of it. Again with the same
 * arguments it does nothing. A piece that is older than the attempt that writes now is not published; one that does not follow what
 * is kept is, and the text is not kept any more: better none than one with a hole. Lengths are UTF-16 units, as offsets are; Redis
 * counts bytes, so they stand beside the text.
 *
 * KEYS     1 streams, 2 the event's text
 * ARGV     1 channel, 2 frame, 3 event id, 4 attempt, 5 offset, 6 length, 7 text, 8 lifetime in ms
 */
export const deltaScript = ({ bytes, streams }: StreamBounds): string => `
local attempt, length = 0, -1
local known = redis.call('HGET', KEYS[1], ARGV[3])
if known then
  local a, b = string.match(known, '^(%d+) (-?%d+)$')
  attempt, length = tonumber(a), tonumber(b)
end
local mine, offset, added = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if mine < attempt then return 0 end
if mine == attempt and length >= offset + added then return 0 end
redis.call('PUBLISH', ARGV[1], ARGV[2])
if not known and (offset > 0 or redis.call('HLEN', KEYS[1]) >= ${streams}) then return 1 end
if mine > attempt then
  length = offset == 0 and 0 or -1
  redis.call('DEL', KEYS[2])
end
if length == offset and redis.call('STRLEN', KEYS[2]) + #ARGV[7] <= ${bytes} then
  redis.call('APPEND', KEYS[2], ARGV[7])
  length = offset + added
else
  redis.call('DEL', KEYS[2])
  length = -1
end
redis.call('HSET', KEYS[1], ARGV[3], string.format('%d %d', mine, length))
redis.call('PEXPIRE', KEYS[1], ARGV[8])
redis.call('PEXPIRE', KEYS[2], ARGV[8])
return 1
`;
