-- Which instances are there: `m` says until when the lease of each may last, `a` up to where it has applied the log.
-- KEYS 4 m (zset: instance -> us)   5 a (zset: instance -> number)
--
-- Both carry one more member, named after the incarnation: in `a` its score is when they were begun. Where one of the two is
-- missing, both have been lost, and nobody knows who was in them: they are begun anew, and whoever reads them knows since when.
local M, A = KEYS[4], KEYS[5]

local function register()
  local head = 'life:' .. incarnation
  local begun = redis.pcall('ZSCORE', A, head)
  if type(begun) == 'string' and type(redis.pcall('ZSCORE', M, head)) == 'string' then
    return tonumber(begun)
  end
  redis.call('UNLINK', M, A)
  redis.call('ZADD', M, '+inf', head)
  redis.call('ZADD', A, text(now), head)
  return now
end
