-- Reads the position for a poll, and notes who polls: the lease that this may earn lasts no longer than is noted here.
-- ARGV 6 instance   7 incarnation that it follows, or nothing   8 up to where   9 its lease in us
if not (seq and incarnation) then
  return {}
end
register()
local gone = redis.call('ZRANGEBYSCORE', M, '-inf', text(now), 'LIMIT', 0, 100)
if #gone > 0 then
  redis.call('ZREM', M, unpack(gone))
  redis.call('ZREM', A, unpack(gone))
end
redis.call('ZADD', M, text(now + ARGV[9]), ARGV[6])
redis.call('ZADD', A, ARGV[7] == incarnation and ARGV[8] or '0', ARGV[6])
return { incarnation, text(seq) }
