-- Writes a session: sets and removes fields, adds to counters, renews it. All of it or nothing, because every check comes
-- before the first write; and never to a session that is gone. Save is an increment of no counter.
--
-- An increment is safe to repeat. Its store sends it in a lane, where one increment follows the other with a greater number.
-- The session remembers the last one of each lane: one with a number that is not greater was executed before. It only
-- reads, and gets its counters as the last one left them.
--
-- KEYS[1] the session
-- ARGV[1] "1": create it if it is missing       ARGV[2] time to live, ms        ARGV[3] lifetime, ms; "0": none
-- ARGV[4] most bytes                            ARGV[5] the lane's field; "": no increment
-- ARGV[6] number of the increment               ARGV[7] "1": return the fields
-- ARGV[8] how many fields to set                ARGV[9] how many to remove
-- Then name, value and Go types of each field to set, the names to remove, and the counters: name, what to add.
--
-- Returns name, value, ... of the fields, the time to live and "OK"; or the field that is wrong, and how.
local call, format = redis.call, string.format
local key, lane, limit = KEYS[1], ARGV[5], 2 ^ 53 - 1
local first_removed = 10 + 3 * ARGV[8]
local first_counter = first_removed + ARGV[9]

-- values is the session as it will be; write and remove are what that takes.
local fields, clock = call('HGETALL', key), call('TIME')
local values, write, remove = {}, {}, {}
for i = 1, #fields, 2 do values[fields[i]] = fields[i + 1] end

local function put(name, value)
  values[name] = value
  write[#write + 1], write[#write + 2] = name, value
end

local function drop(name)
  if values[name] then remove[#remove + 1] = name end
  values[name] = nil
end

if #fields == 0 then
  if ARGV[1] ~= '1' then return { 'GONE' } end
  put('@created', format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000)))
end
local created = values['@created'] or ''
if not created:find('^[1-9]%d*$') or #created > 14 then return { '@created', 'CORRUPT' } end

local repeated -- the counters as the last increment left them, if this one was executed before
for name, value in pairs(lane == '' and {} or values) do
  if name:find('^@[%u%d]') then -- a lane: [second, number, counter, ...]
    local second, number, counters = value:match('^%[(%d+),(%d+),(.*)%]$')
    if not second or #second > 15 or #number > 15 then return { name, 'CORRUPT' } end
    if name == lane then
      if tonumber(ARGV[6]) <= tonumber(number) then repeated = counters end
    elseif clock[1] - second > 60 then
      drop(name)
    end
    values[name] = nil -- the answer goes without it
  end
end

for i = 10, repeated and 0 or first_removed - 1, 3 do
  put(ARGV[i], ARGV[i + 1])
  local types = '@type:' .. ARGV[i]
  if ARGV[i + 2] ~= '' then put(types, ARGV[i + 2]) else drop(types) end
end
for i = first_removed, repeated and 0 or first_counter - 1 do
  drop(ARGV[i])
  drop('@type:' .. ARGV[i])
end

local ttl, max_age = ARGV[2], values['@maxage']
if max_age and (not max_age:find('^%d+$') or #max_age > 10) then return { '@maxage', 'CORRUPT' } end
if max_age and max_age ~= '0' then ttl = format('%d', max_age * 1000) end
if ARGV[3] ~= '0' then
  local rest = ARGV[3] - (clock[1] * 1000 + math.floor(clock[2] / 1000) - created)
  if rest <= 0 then
    call('DEL', key)
    return { 'GONE' }
  end
  ttl = format('%.0f', math.min(ttl, rest))
end

if repeated then
  local i = first_counter
  for value in repeated:gmatch('[^,]+') do
    values[ARGV[i]] = value
    i = i + 2
  end
else
  local grows, results = ARGV[8] ~= '0', { clock[1], ARGV[6] }
  for i = first_counter, #ARGV, 2 do
    local name, by = ARGV[i], tonumber(ARGV[i + 1])
    local text = values[name] or '0'
    local n = tonumber(text)
    if not n or format('%d', n) ~= text or n > limit or n < -limit then return { name, 'CORRUPT' } end
    n = n + by
    if n > limit or n < -limit or by > limit or by < -limit then return { name, 'OVERFLOW' } end
    grows = grows or not values[name]
    text = format('%d', n)
    put(name, text)
    results[#results + 1] = text
  end
  if grows then
    local bytes = 0
    for name, value in pairs(values) do
      if name:byte() ~= 64 or name:find('^@type:') then bytes = bytes + #name + #value end
    end
    if bytes > tonumber(ARGV[4]) then return { 'TOOLARGE' } end
  end
  if lane ~= '' then write[#write + 1], write[#write + 2] = lane, '[' .. table.concat(results, ',') .. ']' end
  for i = 1, #write, 1000 do call('HSET', key, unpack(write, i, math.min(i + 999, #write))) end
  for i = 1, #remove, 1000 do call('HDEL', key, unpack(remove, i, math.min(i + 999, #remove))) end
  call('PEXPIRE', key, ttl)
end
local answer = {}
if ARGV[7] == '1' then
  for name, value in pairs(values) do answer[#answer + 1], answer[#answer + 2] = name, value end
end
answer[#answer + 1], answer[#answer + 2] = ttl, 'OK'
return answer
