-- Writes a session: sets and removes fields, adds to counters, renews it. All of it or nothing, because every check comes
-- before the first write; and never to a session that is gone. Save is an increment of no counter.
--
-- An increment is safe to repeat. Its store sends it in a lane, where one increment follows the other with a greater number.
-- The session remembers the last one of each lane: one with a number that is not greater was executed before. It only
-- reads, and is told its counters as the last one left them.
--
-- KEYS[1] the session
-- ARGV[1] "1": create it if it is missing       ARGV[2] time to live, ms        ARGV[3] lifetime, ms; "0": none
-- ARGV[4] most bytes                            ARGV[5] the lane's field; "": no increment
-- ARGV[6] number of the increment               ARGV[7] "1": return the fields
-- ARGV[8] how many fields to set                ARGV[9] how many to remove
-- Then name, value and Go types of each field to set, the names to remove, and the counters: name, what to add.
--
-- Returns "OK", the time to live, and name, value, ... of the fields; or what was wrong, and with which field.
local call, format = redis.call, string.format
local key, lane, limit = KEYS[1], ARGV[5], 2 ^ 53 - 1
local first_removed = 10 + 3 * ARGV[8]
local first_counter = first_removed + ARGV[9]

local flat, clock = call('HGETALL', key), call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local session, write, remove = {}, {}, {}
for i = 1, #flat, 2 do session[flat[i]] = flat[i + 1] end

local function put(name, value)
  session[name] = value
  write[#write + 1], write[#write + 2] = name, value
end

local function drop(name)
  if session[name] then remove[#remove + 1] = name end
  session[name] = nil
end

if #flat == 0 then
  if ARGV[1] ~= '1' then return { 'GONE' } end
  put('@created', format('%.0f', now))
end
local created = session['@created'] or ''
if not created:find('^[1-9]%d*$') or #created > 14 then return { 'CORRUPT', '@created' } end

local repeated
if lane ~= '' then
  for i = 1, #flat, 2 do
    local name = flat[i]
    if name:find('^@[%u%d]') then -- a lane: [second, number, counter, ...]
      local second, number, counters = flat[i + 1]:match('^%[(%d+),(%d+),(.*)%]$')
      if not second or #second > 15 or #number > 15 then return { 'CORRUPT', name } end
      if name == lane then
        if tonumber(ARGV[6]) <= tonumber(number) then repeated = counters end
      elseif clock[1] - second > 60 then
        drop(name)
      end
    end
  end
end

for i = 10, first_removed - 1, 3 do
  local name, value, types = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  put(name, value)
  if types ~= '' then put('@type:' .. name, types) else drop('@type:' .. name) end
end
for i = first_removed, first_counter - 1 do
  drop(ARGV[i])
  drop('@type:' .. ARGV[i])
end

local grows, results = ARGV[8] ~= '0', { clock[1], ARGV[6] }
for i = first_counter, repeated and 0 or #ARGV, 2 do
  local name, by = ARGV[i], tonumber(ARGV[i + 1])
  local old = session[name] or '0'
  local n = tonumber(old)
  if not n or format('%d', n) ~= old or n > limit or n < -limit then return { 'CORRUPT', name } end
  n = n + by
  if n > limit or n < -limit or by > limit or by < -limit then return { 'OVERFLOW', name } end
  grows = grows or not session[name]
  put(name, format('%d', n))
  results[#results + 1] = session[name]
end

local ttl, max_age = tonumber(ARGV[2]), session['@maxage'] or '0'
if not max_age:find('^%d+$') or #max_age > 10 then return { 'CORRUPT', '@maxage' } end
if max_age ~= '0' then ttl = max_age * 1000 end
if ARGV[3] ~= '0' then
  local rest = ARGV[3] - (now - created)
  if rest <= 0 then
    call('DEL', key)
    return { 'GONE' }
  end
  ttl = math.min(ttl, rest)
end
ttl = format('%.0f', ttl)

if repeated then
  local i = first_counter
  for value in repeated:gmatch('[^,]+') do
    session[ARGV[i] or ''], i = value, i + 2
  end
else
  if grows then
    local bytes = 0
    for name, value in pairs(session) do
      if name:byte() ~= 64 or name:find('^@type:') then bytes = bytes + #name + #value end -- 64 is "@"
    end
    if bytes > tonumber(ARGV[4]) then return { 'TOOLARGE' } end
  end
  if lane ~= '' then put(lane, '[' .. table.concat(results, ',') .. ']') end
  for i = 1, #write, 1000 do call('HSET', key, unpack(write, i, math.min(i + 999, #write))) end
  for i = 1, #remove, 1000 do call('HDEL', key, unpack(remove, i, math.min(i + 999, #remove))) end
  call('PEXPIRE', key, ttl)
end

local reply = { 'OK', ttl }
if ARGV[7] == '1' then
  for name, value in pairs(session) do reply[#reply + 1], reply[#reply + 2] = name, value end
end
return reply
