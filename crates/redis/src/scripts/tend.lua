-- Renews or ends a fill lease, if it is still the token's.
-- KEYS 1 the lease
-- ARGV 1 token, 16 bytes   2 what to do: renew, release or waive   3 for how long, in ms   4 channel   5 message
local F = KEYS[1]
local held = redis.pcall('GET', F)
if type(held) ~= 'string' or string.sub(held, 1, 16) ~= ARGV[1] then
  return 0
end
if ARGV[2] == 'renew' then
  redis.call('SET', F, held, 'PX', ARGV[3])
  return 1
end
if ARGV[2] == 'waive' then
  redis.call('SET', F, '-', 'PX', ARGV[3])
else
  redis.call('UNLINK', F)
end
if string.sub(held, -1) == '+' then
  redis.call(string.sub(ARGV[4], -3) == ':sc' and 'SPUBLISH' or 'PUBLISH', ARGV[4], ARGV[5])
end
return 1
