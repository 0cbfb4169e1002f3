-- Reads the log after a number: whole groups of idents with the same number, as many as fit on a page.
-- ARGV 6 the number   7 how many idents fit
if not is_whole() then
  begin(0)
end
local page = { incarnation, text(seq), text(floor), text(seq) }
local after, fit = '(' .. ARGV[6], tonumber(ARGV[7])
local rows = redis.call('ZRANGEBYSCORE', L, after, '+inf', 'WITHSCORES', 'LIMIT', 0, fit + 1)
if #rows / 2 > fit then
  -- The last group may go on beyond the page: it waits for the next one, unless it is all there is.
  local last = rows[#rows]
  while rows[#rows] == last do
    rows[#rows], rows[#rows - 1] = nil, nil
  end
  if #rows == 0 then
    rows = redis.call('ZRANGEBYSCORE', L, last, last, 'WITHSCORES')
  end
  page[4] = text(tonumber(rows[#rows]))
end
for at = 1, #rows, 2 do
  if rows[at] ~= sentinel(incarnation) then
    page[#page + 1] = rows[at]
    page[#page + 1] = text(tonumber(rows[at + 1]))
  end
end
return page
