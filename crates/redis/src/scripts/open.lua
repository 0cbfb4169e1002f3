-- Makes sure that there is a whole log, and that its position is not too old.
-- ARGV 6 the oldest a position may be, in us
if not is_whole() then
  begin(0)
elseif now - seq > tonumber(ARGV[6]) then
  issue({}, 0)
end
return { incarnation, text(seq) }
