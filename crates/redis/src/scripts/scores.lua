-- Reads the last invalidation of each of some idents; nothing for one that the log does not hold.
-- ARGV 6.. idents, at most 4000
if not is_whole() then
  begin(0)
end
local reply = { incarnation, text(seq), text(floor) }
if #ARGV > 5 then
  for _, score in ipairs(redis.call('ZMSCORE', L, unpack(ARGV, 6))) do
    reply[#reply + 1] = score and text(tonumber(score)) or ''
  end
end
return reply
