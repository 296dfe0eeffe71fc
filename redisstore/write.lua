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
-- Returns name, value, ... of the fields, the time to live and "OK"; or the field that is wrong, and how.
local call, format = redis.call, string.format
local key, lane, limit = KEYS[1], ARGV[5], 2 ^ 53 - 1
local first_removed = 10 + 3 * ARGV[8]
local first_counter = first_removed + ARGV[9]

-- The fields stay in the table in which Redis gives them, which is also the answer: at says where the value of a name is.
local fields, clock = call('HGETALL', key), call('TIME')
local last, at, write, remove = #fields, {}, {}, {}
for i = 2, last, 2 do at[fields[i - 1]] = i end

local function put(name, value)
  if not at[name] then
    last = last + 2
    at[name], fields[last - 1] = last, name
  end
  fields[at[name]] = value
  write[#write + 1], write[#write + 2] = name, value
end

local function drop(name) -- the last field takes its place
  local i = at[name]
  if not i then return end
  at[fields[last - 1]], fields[i - 1], fields[i] = i, fields[last - 1], fields[last]
  at[name], fields[last - 1], fields[last] = nil, nil, nil
  last = last - 2
  remove[#remove + 1] = name
end

if last == 0 then
  if ARGV[1] ~= '1' then return { 'GONE' } end
  put('@created', format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000)))
end
local created = at['@created'] and fields[at['@created']] or ''
if not created:find('^[1-9]%d*$') or #created > 14 then return { '@created', 'CORRUPT' } end

local repeated
if lane ~= '' then
  for i = last - 1, 1, -2 do
    local name = fields[i]
    if name:byte() == 64 and name:find('^@[%u%d]') then -- "@": a lane, [second, number, counter, ...]
      local second, number, counters = fields[i + 1]:match('^%[(%d+),(%d+),(.*)%]$')
      if not second or #second > 15 or #number > 15 then return { name, 'CORRUPT' } end
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
  local text = at[name] and fields[at[name]] or '0'
  local n = tonumber(text)
  if not n or format('%d', n) ~= text or n > limit or n < -limit then return { name, 'CORRUPT' } end
  n = n + by
  if n > limit or n < -limit or by > limit or by < -limit then return { name, 'OVERFLOW' } end
  grows = grows or not at[name]
  text = format('%d', n)
  put(name, text)
  results[#results + 1] = text
end

local ttl, max_age = ARGV[2], at['@maxage'] and fields[at['@maxage']]
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
    if at[ARGV[i]] then fields[at[ARGV[i]]] = value end
    i = i + 2
  end
else
  if grows then
    local bytes = 0
    for name, i in pairs(at) do
      if name:byte() ~= 64 or name:find('^@type:') then bytes = bytes + #name + #fields[i] end
    end
    if bytes > tonumber(ARGV[4]) then return { 'TOOLARGE' } end
  end
  if lane ~= '' then put(lane, '[' .. table.concat(results, ',') .. ']') end
  for i = 1, #write, 1000 do call('HSET', key, unpack(write, i, math.min(i + 999, #write))) end
  for i = 1, #remove, 1000 do call('HDEL', key, unpack(remove, i, math.min(i + 999, #remove))) end
  call('PEXPIRE', key, ttl)
end
if ARGV[7] ~= '1' then return { ttl, 'OK' } end
fields[last + 1], fields[last + 2] = ttl, 'OK'
return fields
