-- Invalidates idents, and begins or ends a hold on them.
-- ARGV 6 a number that the new one must exceed   7 token, 16 bytes   8 for how long in us; 0 to end it   9.. idents, at most 64
local at_least, token, time = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
if not is_whole() then
  begin(at_least)
end
local idents, rows = { unpack(ARGV, 9) }, {}
for at, ident in ipairs(idents) do
  rows[at] = 'hold:' .. token .. ident
end
local answer = 'done'
if time > 0 then
  if redis.call('ZCOUNT', L, '-inf', '-' .. text(BEYOND)) + #rows > HELD then
    return { 'full' }
  end
  for _, row in ipairs(rows) do
    redis.call('ZADD', L, '-' .. text(BEYOND + now + time), row)
  end
elseif redis.call('ZREM', L, unpack(rows)) == 0 then
  answer = 'over'
end
count_holds()
local previous, last = issue(idents, at_least)
return { answer, incarnation, text(seq), text(previous), text(last) }
