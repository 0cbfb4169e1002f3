-- Reads the last invalidation of each of some idents, nothing for one that the log does not hold; and the shapes of
-- all patterns, before which stands how many they are. What is held counts as if the next number had invalidated it.
-- ARGV 6.. idents, at most 4000
if not is_whole() then
  begin(0)
end
local shapes = redis.call('ZRANGEBYSCORE', L, ABOVE_HOLDS, '(0')
local reply = { incarnation, text(seq), text(floor), text(#shapes) }
for _, shape in ipairs(shapes) do
  reply[#reply + 1] = string.sub(shape, 7)
end
local is_held = holding and held('-inf') or {}
if #ARGV > 5 then
  for at, score in ipairs(redis.call('ZMSCORE', L, unpack(ARGV, 6))) do
    score = is_held[ARGV[at + 5]] and seq + 1 or score
    reply[#reply + 1] = score and text(tonumber(score)) or ''
  end
end
return reply
