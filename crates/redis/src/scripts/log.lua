-- What every script begins with: the log, read and judged as a whole.
--
-- KEYS 1 v, the last number issued   2 i, the incarnation   3 l, the log (zset: ident -> last number)
-- ARGV 1 incarnation to begin if need be   2 channel, or nothing where the issuer publishes   3 issuer   4 retention in us   5 most idents in the log
--
-- The log carries one more member, the sentinel: its name holds the incarnation, its score is the floor. Where it
-- is missing, the log has been lost, and the floor with it.
--
-- Below zero stand the shapes of the patterns that have been invalidated, each with its last number negated. An
-- ident tells that it is a pattern's, and of which shape.
--
-- Further below, beyond any number, stand the holds: who holds which ident, with its end negated. While there are any,
-- all numbers issued are odd, else even.
local V, I, L = KEYS[1], KEYS[2], KEYS[3]
local BEYOND = 9007199254740991 -- from here on a Lua number does not count in ones
local HARD = 0                  -- the kind of invalidation
local REPORT = 1                -- what those who are behind are told
local MARK = 'path'             -- what stands in the ident of a pattern, before the shape
local SOFT_MARK = '\143\158\139\151'
local SHAPES = 64               -- the most shapes in the log
local HELD = 1000               -- the most idents held at a time
local ABOVE_HOLDS = '(-9007199254740991'

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function text(number)
  return string.format('%.0f', number)
end

-- The text's number, or nil when it is none that this log could have issued.
local function issued(value)
  if type(value) ~= 'string' or not string.find(value, '^%d+$') then
    return nil
  end
  local number = tonumber(value)
  return number < BEYOND and number or nil
end

local function sentinel(incarnation)
  return 'life:' .. incarnation
end

-- The shape that an ident tells of, if it is a pattern's. A soft one is the complement.
local function shape_of(ident)
  local mark, shape = string.sub(ident, 9, 12), string.sub(ident, 13)
  if mark == SOFT_MARK then
    shape = string.gsub(shape, '.', function(byte)
      return string.char(255 - string.byte(byte))
    end)
  end
  return (mark == MARK or mark == SOFT_MARK) and 'shape:' .. shape or nil
end

-- A key of a wrong type gives a table with an error here, which is as good as nothing.
local seq = issued(redis.pcall('GET', V))
local incarnation = redis.pcall('GET', I)
if type(incarnation) ~= 'string' or #incarnation ~= 16 then
  incarnation = nil
end
local floor = incarnation and tonumber(redis.pcall('ZSCORE', L, sentinel(incarnation)))

local holding = seq and seq % 2 == 1

local function is_whole()
  return seq and incarnation and floor
end

-- Within its slot where the channel's name ends like that: there a message goes to one node and not to all.
local function send(message)
  local publish = string.sub(ARGV[2], -3) == ':sc' and 'SPUBLISH' or 'PUBLISH'
  redis.call(publish, ARGV[2], cmsgpack.pack(message))
end

local function publish(previous, idents)
  if ARGV[2] == '' then
    return
  end
  local message = { incarnation, seq, previous, ARGV[3], HARD }
  for _, ident in ipairs(idents) do
    message[#message + 1] = ident
  end
  send(message)
end

-- Begins a new life of the log: every older frame and position is void. Where there are traces of an older life,
-- there may be instances that follow it; a message of an incarnation that is not theirs makes them look.
local function begin(at_least)
  local traces = seq or incarnation
  seq = math.max(now, (seq or 0) + 1, at_least + 1)
  if seq >= BEYOND then
    seq = now
  end
  holding, seq = false, seq + seq % 2
  incarnation, floor = ARGV[1], seq
  redis.call('SET', V, text(seq))
  redis.call('SET', I, incarnation)
  redis.call('UNLINK', L)
  redis.call('ZADD', L, text(floor), sentinel(incarnation))
  if traces then
    publish(0, {})
  end
end

-- Cuts what is too old or too much. The floor rises to the highest number cut, in the same step.
local function trim()
  local oldest = '(' .. text(now - ARGV[4])
  local aged = redis.call('ZREVRANGEBYSCORE', L, oldest, 0, 'WITHSCORES', 'LIMIT', 0, 1)
  if aged[1] == sentinel(incarnation) then
    aged = {}
  end
  if not aged[1] and redis.call('ZCARD', L) - 1 <= tonumber(ARGV[5]) then
    return
  end
  local shapes = redis.call('ZCOUNT', L, '-inf', '(0')
  redis.call('ZREM', L, sentinel(incarnation))
  if aged[1] then
    floor = math.max(floor, tonumber(aged[2]))
    redis.call('ZREMRANGEBYSCORE', L, 0, oldest)
  end
  local over = redis.call('ZCARD', L) - shapes - ARGV[5]
  if over > 0 then
    local last = redis.call('ZRANGE', L, shapes + over - 1, shapes + over - 1, 'WITHSCORES')
    floor = math.max(floor, tonumber(last[2]))
    redis.call('ZREMRANGEBYRANK', L, shapes, shapes + over - 1)
  end
  redis.call('ZADD', L, text(floor), sentinel(incarnation))
end

-- Keeps the shapes within their bound: who does not know a shape does not find what was invalidated in it.
local function trim_shapes()
  local over = redis.call('ZCOUNT', L, ABOVE_HOLDS, '(0') - SHAPES
  if over > 0 then
    local oldest = redis.call('ZREVRANGEBYSCORE', L, '(0', ABOVE_HOLDS, 'WITHSCORES', 'LIMIT', 0, over)
    floor = math.max(floor, -tonumber(oldest[#oldest]))
    for at = 1, #oldest, 2 do
      redis.call('ZREM', L, oldest[at])
    end
    redis.call('ZADD', L, text(floor), sentinel(incarnation))
  end
end

-- Issues a number, invalidates the idents under it and tells everybody. Returns the number before it.
local function issue(idents, at_least)
  if math.max(seq, at_least) + 2 >= BEYOND then
    begin(0)
    at_least = 0
  end
  local previous, last = seq, floor
  if #idents > 0 then
    for _, score in ipairs(redis.call('ZMSCORE', L, unpack(idents))) do
      last = math.max(last, tonumber(score or 0))
    end
  end
  seq = math.max(now, previous + 1, at_least + 1)
  if holding ~= (seq % 2 == 1) then
    seq = seq + 1
  end
  redis.call('SET', V, text(seq))
  local scored, shaped = {}, false
  for _, ident in ipairs(idents) do
    scored[#scored + 1] = text(seq)
    scored[#scored + 1] = ident
    local shape = shape_of(ident)
    if shape then
      shaped = true
      scored[#scored + 1] = '-' .. text(seq)
      scored[#scored + 1] = shape
    end
  end
  if #scored > 0 then
    redis.call('ZADD', L, unpack(scored))
  end
  trim()
  if shaped then
    trim_shapes()
  end
  publish(previous, idents)
  return previous, last
end

local function count_holds()
  holding = redis.call('ZCOUNT', L, '-inf', '-' .. text(BEYOND)) > 0
end

-- Which idents are held, those alone whose hold ends at the latest then; a set, and as a list.
local function held(latest)
  local set, list, rows = {}, {}, redis.call('ZRANGEBYSCORE', L, latest, '-' .. text(BEYOND))
  for _, row in ipairs(rows) do
    local ident = string.sub(row, 22)
    if not set[ident] then
      set[ident] = true
      list[#list + 1] = ident
    end
  end
  return set, list, rows
end

-- What has run out ends as if it had been released now.
if holding and is_whole() then
  local _, idents, rows = held('-' .. text(BEYOND + now))
  if #rows > 0 then
    redis.call('ZREM', L, unpack(rows))
    count_holds()
    issue(idents, 0)
  end
end
