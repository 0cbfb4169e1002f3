-- Invalidates idents.
-- ARGV 6 a number that the new one must exceed   7.. idents, at most 1000
local at_least = tonumber(ARGV[6])
if not is_whole() then
  begin(at_least)
end
local previous, last = issue({ unpack(ARGV, 7) }, at_least)
return { incarnation, text(seq), text(previous), text(last) }
