-- Loads a session, adds to its counters, renews it and returns it: all of it or nothing, because every check
-- comes before the first write. Safe to repeat: what an increment made of the counters is kept in the session for as
-- long as its sender may send it again, and a repetition only reads.
--
-- KEYS[1] the session
-- ARGV[1] "1": create the session if it is missing    ARGV[2] time to live, ms     ARGV[3] lifetime, ms, 0 = none
-- ARGV[4] most bytes                                  ARGV[5] the sender: "@name." ARGV[6] number of the increment
-- ARGV[7] floor: the sender's smaller numbers are settled in this session
-- ARGV[8] prefix of the rows to fold, "" = none       ARGV[9] most rows            ARGV[10], ARGV[11] sum, number folded
-- ARGV[12], ARGV[13], ... counter, what to add
--
-- Returns "OK", the milliseconds to live, the number of fields, name, value, name, value, ...; or a status and the
-- field it is about. Everything is joined with NUL, which neither a name nor JSON contains: where one does, the
-- number shows it.
local call, match, format = redis.call, string.match, string.format
local key, sender, number, floor = KEYS[1], ARGV[5], ARGV[6], tonumber(ARGV[7])
local limit = 2 ^ 53 - 1

local session = call('HGETALL', key)
local clock = call('TIME')
local new = #session == 0

-- The session's own fields move up to its front, as far as last; at says where the value of each is. Left aside is
-- what is remembered of increments: "@sender.0", "@sender.1", ... = [seconds, floor, number, counter, ...], one field
-- for each that its sender may still repeat. That is one as a rule, which the next increment takes over.
local at, last, remove = {}, 0, {}
local settled, repeated, free, taken = 0, nil, nil, {}
for i = 1, #session, 2 do
  local name, value = session[i], session[i + 1]
  if name:byte() ~= 64 or name == '@created' then -- 64 is "@"
    last = last + 2
    session[last - 1], session[last], at[name] = name, value, last
  elseif name:sub(1, #sender) == sender then
    local below, sent, counters = match(value, '^%[%d+,(%d+),(%d+),(.*)%]$')
    local m, n = tonumber(below), tonumber(sent)
    if not n or n > limit or m > n then return 'CORRUPT\0' .. name end
    if m > settled then settled = m end
    if sent == number then
      repeated = counters
    elseif n >= floor then
      taken[name] = true
    elseif not free then
      free = name
    else
      remove[#remove + 1] = name
    end
  else
    local seconds = match(value, '^%[(%d+),%d+,.*%]$')
    seconds = tonumber(seconds)
    if not seconds or seconds > limit then return 'CORRUPT\0' .. name end
    if clock[1] - seconds > 60 then remove[#remove + 1] = name end
  end
end

local write, writes = { '', '', '', '', '', '' }, 2 -- the first two are for what is remembered
local function put(name, value)
  if not at[name] then
    last = last + 2
    session[last - 1], at[name] = name, last
  end
  session[at[name]] = value
  write[writes + 1], write[writes + 2] = name, value
  writes = writes + 2
end

if new then
  if ARGV[1] ~= '1' then return 'GONE' end
  put('@created', format('%d', clock[1] * 1000 + math.floor(clock[2] / 1000)))
end
local created = session[at['@created']]
if not created or not created:find('^[1-9]%d*$') or #created > 14 then return 'CORRUPT\0@created' end
local ttl = ARGV[2]
if ARGV[3] ~= '0' then
  local rest = ARGV[3] - (clock[1] * 1000 + math.floor(clock[2] / 1000) - created)
  if rest <= 0 then
    call('DEL', key)
    return 'GONE'
  end
  ttl = format('%d', math.min(ttl, rest))
end

local function reply()
  return 'OK\0' .. ttl .. '\0' .. last / 2 .. '\0' .. table.concat(session, '\0', 1, last)
end

if repeated then
  local i = 12
  for value in repeated:gmatch('[^,]+') do
    if ARGV[i] then put(ARGV[i], value) end
    i = i + 2
  end
  return reply()
end
if tonumber(number) < settled then return 'LATE' end

local function whole(text)
  local n = tonumber(text)
  if not n or format('%d', n) ~= text or n > limit or n < -limit then return nil end
  return n
end

local function counter(name)
  if not at[name] then return 0 end
  return whole(session[at[name]])
end

local results, grows = '', false
for i = 12, #ARGV, 2 do
  local name = ARGV[i]
  grows = grows or not at[name]
  local n, by = counter(name), tonumber(ARGV[i + 1])
  if not n then return 'CORRUPT\0' .. name end
  n = n + by
  if n > limit or n < -limit or by > limit or by < -limit then return 'OVERFLOW\0' .. name end
  local value = format('%d', n)
  put(name, value)
  results = results .. ',' .. value
end

-- It takes the place of one that is settled, or a new one beside those that are not.
local slot = 0
while not free do
  if not taken[sender .. slot] then free = sender .. slot end
  slot = slot + 1
end
write[1] = free
write[2] = '[' .. clock[1] .. ',' .. ARGV[7] .. ',' .. number .. results .. ']'

-- Beyond the most rows, those whose names sort first are added up in one field, those of this increment last.
local prefix = ARGV[8]
if prefix ~= '' and grows then
  local rows = {}
  for name in pairs(at) do
    if name:sub(1, #prefix) == prefix then rows[#rows + 1] = name end
  end
  local excess = #rows - ARGV[9]
  if excess > 0 then
    table.sort(rows)
    local own = {}
    for i = 12, #ARGV, 2 do own[ARGV[i]] = true end
    local sum, folded = counter(ARGV[10]), counter(ARGV[11])
    if not sum then return 'CORRUPT\0' .. ARGV[10] end
    if not folded then return 'CORRUPT\0' .. ARGV[11] end
    for _, name in ipairs(rows) do
      if excess > 0 and not own[name] then
        local n = counter(name)
        if not n then return 'CORRUPT\0' .. name end
        sum, folded, excess = sum + n, folded + 1, excess - 1
        remove[#remove + 1] = name
        at[name] = nil
      end
    end
    if sum > limit or sum < -limit then return 'OVERFLOW\0' .. ARGV[10] end
    put(ARGV[10], format('%d', sum))
    put(ARGV[11], format('%d', folded))
    local all = last
    last = 0
    for i = 1, all, 2 do
      if at[session[i]] then
        last = last + 2
        session[last - 1], session[last] = session[i], session[i + 1]
      end
    end
  end
end

if grows then
  local bytes = 0
  for i = 1, last, 2 do
    if session[i] ~= '@created' then bytes = bytes + #session[i] + #session[i + 1] end
  end
  if bytes > tonumber(ARGV[4]) then return 'TOOLARGE' end
end

for i = 1, writes, 1000 do call('HSET', key, unpack(write, i, math.min(i + 999, writes))) end
for i = 1, #remove, 1000 do call('HDEL', key, unpack(remove, i, math.min(i + 999, #remove))) end
call('PEXPIRE', key, ttl)
return reply()
