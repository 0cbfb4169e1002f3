-- Reads for how long, in us, an instance may still hold a lease that has not applied the log up to a number; those that are
-- behind are told to report. 0: there is none.
-- ARGV 6 the instance that asks, which is not meant   7 incarnation of the number   8 the number   9 the longest lease, in us
if not is_whole() then
  begin(0)
end
-- Who was there before the register was begun is in nobody's books.
local last = register() + ARGV[9]
if ARGV[7] == incarnation then
  for _, instance in ipairs(redis.call('ZRANGEBYSCORE', A, '-inf', '(' .. ARGV[8])) do
    local ends = instance ~= ARGV[6] and tonumber(redis.call('ZSCORE', M, instance))
    if ends and ends < BEYOND then
      last = math.max(last, ends)
    end
  end
end
if last <= now then
  return '0'
end
if ARGV[2] ~= '' then
  send({ incarnation, REPORT })
end
return text(last - now)
