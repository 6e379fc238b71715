-- One decision over several counters: all are charged, or none.
--
-- Arithmetic is in whole microseconds and, of cells, whole picoseconds beside them: a double holds
-- either exactly, and microseconds since 1970 with a fraction it does not. What a step of the
-- server's clock can do is bounded: nothing lies further ahead than its limit allows.
--
-- ARGV, per charge: kind, mode, six numbers. KEYS, per charge: one; of a score, two.
-- The answer: the time, then per charge: wait, and of cells the room left (us, ps), of others the
-- units left and when there is one more; then how many times the cost was taken ahead.
local CELL, SCORE = 1, 2
local ALL, SOFT, ALONE, OWED, BACK = 0, 1, 2, 3, 4
local PS = 1000000

local time = redis.call('TIME')
local now = time[1] * PS + time[2]

local function ttl_ms(us) return math.floor(us / 1000) + 2 end

local function put(key, us, ...)
  redis.call('SET', key, struct.pack('<ddd', ...), 'PX', string.format('%.0f', ttl_ms(us)))
end

local function get(key)
  local kept = redis.call('GET', key)
  if kept then return struct.unpack('<ddd', kept) end
end

local function sum(us, ps, more_us, more_ps)
  ps = ps + more_ps
  local carry = math.floor(ps / PS)
  return us + more_us + carry, ps - carry * PS
end

-- ---- cells: when it will have run out (us, ps), and until when it is blocked -------------------

local function cell_put(one)
  put(one.key, math.max(one.us - now + 1, one.blocked - now), one.us, one.ps, one.blocked)
end

local function cell_read(one)
  local us, ps, blocked = get(one.key)
  one.us, one.ps, one.blocked = us or now, ps or 0, blocked or 0
  if one.us < now then one.us, one.ps = now, 0 end
  local furthest = now + 2 * (one.tol_us + 1)
  if one.us > furthest or one.blocked > now + one.block then -- the clock was set back
    if one.us > furthest then one.us, one.ps = furthest, 0 end
    one.blocked = math.min(one.blocked, now + one.block)
    cell_put(one)
  end
end

local function cell_room(one)
  return sum(now + one.tol_us, one.tol_ps, -one.us, -one.ps)
end

local function cell_wait(one)
  cell_read(one)
  if one.blocked > now then return one.blocked - now end
  local us, ps = sum(one.us, one.ps, one.more_us, one.more_ps)
  us, ps = sum(us, ps, -now - one.tol_us, -one.tol_ps)
  if us < 0 or (us == 0 and ps == 0) then return 0 end
  if one.block > 0 then return one.block end
  if ps > 0 then us = us + 1 end
  return us
end

local function cell_charge(one)
  if one.more_us == 0 and one.more_ps == 0 then return end
  one.us, one.ps = sum(one.us, one.ps, one.more_us, one.more_ps)
  local room_us, room_ps = cell_room(one)
  if one.ahead > 0 and room_us >= 0 then
    -- No more than half of what is there: others of the store's callers want some of it too.
    local fits = (room_us + room_ps / PS) / (one.more_us + one.more_ps / PS) / 2
    one.granted = math.min(one.ahead, math.floor(fits))
    one.us, one.ps = sum(one.us, one.ps, one.granted * one.more_us, one.granted * one.more_ps)
  end
  cell_put(one)
end

local function cell_refuse(one)
  if one.block > 0 and one.blocked <= now then
    one.blocked = now + one.block
    cell_put(one)
  end
end

local function cell_back(one)
  cell_read(one)
  if one.us == now then return end
  one.us, one.ps = sum(one.us, one.ps, -one.more_us, -one.more_ps)
  if one.us < now then one.us, one.ps = now, 0 end
  cell_put(one)
end

-- ---- scores: points and a block; the calls that they are of lie in a list ----------------------

local function score_put(one)
  local keep = math.max(one.window, one.block)
  put(one.key, keep, one.points, one.blocked, 0)
  redis.call('PEXPIRE', one.calls, string.format('%.0f', ttl_ms(keep)))
end

local function score_forget(one)
  local last = redis.call('LINDEX', one.calls, -1)
  if not last then
    one.points = 0
    return
  end
  if struct.unpack('<dd', last) > now then -- the clock was set back: it all counts from now
    redis.call('DEL', one.calls)
    redis.call('RPUSH', one.calls, struct.pack('<dd', now, one.points))
  end
  while one.points > 0 do
    local first = redis.call('LINDEX', one.calls, 0)
    if not first then
      one.points = 0
      return
    end
    local at, cost = struct.unpack('<dd', first)
    if at > now - one.window then
      one.more = at + one.window - now
      return
    end
    redis.call('LPOP', one.calls)
    one.points = one.points - cost
  end
end

local function score_read(one)
  local points, blocked = get(one.key)
  points, blocked = points or 0, blocked or 0
  one.points, one.blocked = points, math.min(blocked, now + one.block)
  score_forget(one)
  if one.points ~= points or one.blocked ~= blocked then score_put(one) end
end

local function score_wait(one)
  score_read(one)
  if one.blocked > now then return one.blocked - now end
  if one.points + one.cost <= one.maximum then return 0 end
  return one.block
end

local function score_charge(one)
  if one.cost == 0 or one.points >= 2 * one.maximum then return end
  redis.call('RPUSH', one.calls, struct.pack('<dd', now, one.cost))
  if one.points == 0 then one.more = one.window end
  one.points = one.points + one.cost
  score_put(one)
end

local function score_refuse(one)
  if one.blocked <= now then
    one.blocked = now + one.block
    score_put(one)
  end
end

local function score_back(one)
  score_read(one)
  if redis.call('LREM', one.calls, -1, struct.pack('<dd', one.at, one.cost)) == 1 then
    one.points = math.max(one.points - one.cost, 0)
    score_put(one)
  end
end

local function score_left(one)
  if one.blocked > now then return 0, one.blocked - now end
  return math.max(one.maximum - one.points, 0), one.points > 0 and one.more or 0
end

-- ---- sliding windows: a window's number, units in it, units in the one before ------------------

local function window_put(one)
  put(one.key, 2 * one.window, one.number, one.present, one.before)
end

local function window_read(one)
  local number = math.floor(now / one.window)
  local kept, present, before = get(one.key)
  one.present, one.before = 0, 0
  if kept and kept >= number then -- later than now: the clock was set back
    one.present, one.before = present, before
  elseif kept == number - 1 then
    one.before = present
  end
  one.number = number
  one.rest = (number + 1) * one.window - now
  if kept and kept > number then window_put(one) end
end

local function window_wait_of(one, cost)
  local over = one.before * one.rest + (one.present + cost - one.limit) * one.window
  if over <= 0 then return 0 end
  if one.limit - cost - one.present >= 0 then return math.ceil(over / one.before) end
  return one.rest + one.window - math.floor((one.limit - cost) * one.window / one.present)
end

local function window_wait(one)
  window_read(one)
  if one.cost > one.limit then return one.window end
  return window_wait_of(one, one.cost)
end

local function window_charge(one)
  if one.cost == 0 or one.present >= 2 * one.limit then return end
  one.present = one.present + one.cost
  window_put(one)
end

local function window_back(one)
  window_read(one)
  local since = one.number - math.floor(one.at / one.window)
  if since == 0 then one.present = math.max(one.present - one.cost, 0) end
  if since == 1 then one.before = math.max(one.before - one.cost, 0) end
  window_put(one)
end

local function window_left(one)
  local left = math.max(one.limit - one.present - math.ceil(one.before * one.rest / one.window), 0)
  return left, left < one.limit and window_wait_of(one, left + 1) or 0
end

-- ---- the decision -------------------------------------------------------------------------------

local function nothing() end

local charges, key = {}, 0
for i = 1, #ARGV, 8 do
  local kind, n = tonumber(ARGV[i]), {}
  for j = 1, 6 do n[j] = tonumber(ARGV[i + 1 + j]) end
  key = key + 1
  local one = { mode = tonumber(ARGV[i + 1]), key = KEYS[key], granted = 0 }
  if kind == CELL then
    one.more_us, one.more_ps, one.tol_us, one.tol_ps, one.ahead, one.block = unpack(n)
    one.wait_of, one.charge, one.refuse, one.back = cell_wait, cell_charge, cell_refuse, cell_back
    one.left_of = cell_room
  elseif kind == SCORE then
    key = key + 1
    one.calls = KEYS[key]
    one.cost, one.maximum, one.window, one.block, one.at = unpack(n)
    one.wait_of, one.charge, one.refuse = score_wait, score_charge, score_refuse
    one.back, one.left_of = score_back, score_left
  else
    one.cost, one.limit, one.window, one.at = unpack(n)
    one.wait_of, one.charge, one.refuse = window_wait, window_charge, nothing
    one.back, one.left_of = window_back, window_left
  end
  charges[#charges + 1] = one
end

local refused = false
for _, one in ipairs(charges) do
  if one.mode == BACK then
    one.wait = 0
    one.back(one)
  else
    one.wait = one.wait_of(one)
    if one.mode == OWED then one.wait = 0 end
    if one.wait > 0 and one.mode == ALL then refused = true end
  end
end
local answer = { now }
for _, one in ipairs(charges) do
  if one.wait > 0 then
    one.refuse(one)
  elseif one.mode == ALONE or one.mode == OWED or (one.mode ~= BACK and not refused) then
    one.charge(one)
  end
  local left, more = one.left_of(one)
  answer[#answer + 1] = one.wait
  answer[#answer + 1] = left
  answer[#answer + 1] = more
  answer[#answer + 1] = one.granted
end
return answer
