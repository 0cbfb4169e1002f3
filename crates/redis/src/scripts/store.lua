-- Stores a frame, unless something speaks against it.
-- KEYS 4 the entry
-- ARGV 6 incarnation   7 stamp   8 the value: the stamp in eight bytes, then the frame   9 lifetime in ms
--      10 the oldest a stamp may be, in us   11.. idents, at most 64, and those of patterns, at most 64
local E, stamp = KEYS[4], tonumber(ARGV[7])
if not is_whole() then
  begin(0)
end
if ARGV[6] ~= incarnation then
  return 'incarnation'
end
if stamp > seq then
  return 'lineage'
end
if stamp < floor then
  return 'floor'
end
if #ARGV > 10 then
  local is_held = holding and held('-inf') or {}
  for at, score in ipairs(redis.call('ZMSCORE', L, unpack(ARGV, 11))) do
    if is_held[ARGV[at + 10]] or score and tonumber(score) > stamp then
      return 'invalidated'
    end
  end
end
if now - stamp > tonumber(ARGV[10]) then
  return 'late'
end
-- A higher stamp than any issued is one of a lost log, and in nobody's way.
local head = redis.pcall('GETRANGE', E, 0, 7)
if type(head) == 'string' and #head == 8 then
  local standing = struct.unpack('>I8', head)
  if standing > stamp and standing <= seq then
    return 'newer'
  end
end
redis.call('SET', E, ARGV[8], 'PX', ARGV[9])
return 'accepted'
