-- Claims the fill lease of a key, and reads what a lookup reads at the same instant. Reads no log and begins none.
-- KEYS 1 v   2 i   3 the entry   4 the lease
-- ARGV 1 token, 16 bytes   2 term in ms   3 the longest term in ms   4 a number: whoever claimed before it does not count
--
-- The lease is its holder's token, then `v` as it was claimed, then a `+` once somebody waits for its end; or it is `-`,
-- nothing to wait for. What is of a wrong type, or has no end or one too far away, is none of ours, and is replaced.
local F = KEYS[4]
local found = redis.call('MGET', KEYS[3], KEYS[1], KEYS[2])
local held, left = redis.pcall('GET', F), redis.call('PTTL', F)
local ours = type(held) == 'string' and left >= 0 and left <= tonumber(ARGV[3])
local waits = ours and string.sub(held, -1) == '+'
local claim
if ours and held == '-' then
  claim = 'waived'
elseif ours and (tonumber(string.match(held, '^(%d*)', 17)) or 0) >= tonumber(ARGV[4]) then
  claim = 'held'
  if not waits then
    redis.call('SET', F, held .. '+', 'KEEPTTL')
  end
else
  claim = 'claimed'
  redis.call('SET', F, ARGV[1] .. (found[2] or '0') .. (waits and '+' or ''), 'PX', ARGV[2])
end
return { claim, left, found[1], found[2], found[3] }
