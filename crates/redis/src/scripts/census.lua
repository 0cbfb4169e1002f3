-- Counts the configurations that live in a namespace, and lets one more in if it goes together with all that are in it.
-- KEYS 1 the census (zset: member -> when it was heard of last, in us)
-- ARGV 1 member   2 kin   3 name   4 how long a member lives, in us   5 enter, or knock   6.. names that it takes for compatible
--
-- A member is `kin:name:names that it takes for compatible`; with `?` before it, it has not been let in. Two go together if they
-- have one name, or one kin and each names the other.
local C = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function text(number)
  return string.format('%.0f', number)
end

local function goes_together(kin, name, names)
  if name == ARGV[3] then
    return true
  end
  local named = false
  for at = 6, #ARGV do
    named = named or ARGV[at] == name
  end
  return named and kin == ARGV[2] and string.find(',' .. names .. ',', ',' .. ARGV[3] .. ',', 1, true) ~= nil
end

-- One that is of a wrong type is begun anew.
if type(redis.pcall('ZREMRANGEBYSCORE', C, '-inf', text(now - ARGV[4]))) ~= 'number' then
  redis.call('UNLINK', C)
end
-- So is what a clock that stood ahead has left.
redis.call('ZREMRANGEBYSCORE', C, text(now + ARGV[4]), '+inf')

local within, free, strangers = false, true, {}
for _, member in ipairs(redis.call('ZRANGE', C, 0, 99)) do
  local mark, kin, name, names = string.match(member, '^(%??)(%x+):([%x/]+):([%x/,]*)$')
  if member == ARGV[1] then
    within = true
  elseif kin and not goes_together(kin, name, names) then
    strangers[#strangers + 1] = mark .. name
    free = free and mark == '?'
  end
end
local admitted = within or (free and ARGV[5] == 'enter')
-- A Redis that is full takes no new member; who is there can still be read.
redis.pcall('ZADD', C, text(now), (admitted and '' or '?') .. ARGV[1])
if admitted then
  redis.pcall('ZREM', C, '?' .. ARGV[1])
end
return { admitted and 'admitted' or 'refused', unpack(strangers) }
