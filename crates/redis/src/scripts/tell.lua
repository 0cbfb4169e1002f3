-- Invalidates idents for instances of another configuration, where there have ever been any.
-- ARGV 6.. idents, at most 1000
if not seq and not incarnation then
  return {}
end
if not is_whole() then
  begin(0)
end
local previous = issue({ unpack(ARGV, 6) }, 0)
return { incarnation, text(seq), text(previous) }
