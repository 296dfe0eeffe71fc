-- Loads a session, adds to its counters, renews it and returns it: all of it or nothing, because every check
-- comes before the first write. Safe to repeat: the number of an executed increment is kept in the session for
-- as long as its sender may send it again, with what the counters were, and a repetition only reads.
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
local key, sender, number, floor = KEYS[1], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local limit = 2 ^ 53 - 1

local flat = redis.call('HGETALL', key)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- The session's own fields, and what is remembered of increments: "@sender.number" = [seconds, floor, counter, ...]
local field, remove, settled, created, remembered = {}, {}, 0, nil, nil
for i = 1, #flat, 2 do
  local name, value = flat[i], flat[i + 1]
  if name:byte() ~= 64 then -- not "@"
    field[name] = value
  elseif name == '@created' then
    created = value
  else
    local sent = tonumber(name:match('^@%w+%.(%d+)$'))
    local at, below = value:match('^%[(%d+),(%d+)')
    at, below = tonumber(at), tonumber(below)
    if not sent or not at or at > limit or below > sent then return 'CORRUPT\0' .. name end
    if name:sub(1, #sender) == sender then
      settled = math.max(settled, below)
      if sent == number then remembered = value elseif sent < floor then remove[#remove + 1] = name end
    elseif clock[1] - at > 60 then
      remove[#remove + 1] = name
    end
  end
end

local ttl, lifetime = ARGV[2], tonumber(ARGV[3])
if #flat == 0 then
  if ARGV[1] ~= '1' then return 'GONE' end
  created = string.format('%.0f', now)
elseif not created or not created:find('^[1-9]%d*$') or #created > 14 then
  return 'CORRUPT\0@created'
end
if lifetime > 0 then
  local rest = lifetime - (now - created)
  if rest <= 0 then
    redis.call('DEL', key)
    return 'GONE'
  end
  ttl = string.format('%.0f', math.min(ttl, rest))
end

local function whole(text)
  if text ~= '0' and not text:find('^%-?[1-9]%d*$') or #text > 17 then return nil end
  local n = tonumber(text)
  if n > limit or n < -limit then return nil end
  return n
end

local function reply()
  local out = { 'OK', ttl, '', '@created', created }
  for name, value in pairs(field) do
    out[#out + 1] = name
    out[#out + 1] = value
  end
  out[3] = (#out - 3) / 2
  return table.concat(out, '\0')
end

if remembered then
  local i = 8 -- the seconds and the floor come first
  for value in remembered:gmatch('%-?%d+') do
    if i >= 12 then field[ARGV[i]] = value end
    i = i + 2
  end
  return reply()
end
if number < settled then return 'LATE' end

local write, results, mine, grows = { sender .. ARGV[6], '' }, { clock[1], ARGV[7] }, {}, false
local function set(name, value)
  field[name] = value
  write[#write + 1] = name
  write[#write + 1] = value
end

for i = 12, #ARGV, 2 do
  local name = ARGV[i]
  grows = grows or not field[name]
  local n, by = whole(field[name] or '0'), whole(ARGV[i + 1])
  if not n then return 'CORRUPT\0' .. name end
  if not by then return 'OVERFLOW\0' .. name end
  n = n + by
  if n > limit or n < -limit then return 'OVERFLOW\0' .. name end
  set(name, string.format('%.0f', n))
  results[#results + 1] = field[name]
  mine[name] = true
end
write[2] = '[' .. table.concat(results, ',') .. ']'

-- Beyond the most rows, those whose names sort first are added up in one field, those of this increment last.
local prefix = ARGV[8]
if prefix ~= '' and grows then
  local rows = {}
  for name in pairs(field) do
    if name:sub(1, #prefix) == prefix then rows[#rows + 1] = name end
  end
  local excess = #rows - ARGV[9]
  if excess > 0 then
    table.sort(rows)
    local sum, folded = whole(field[ARGV[10]] or '0'), whole(field[ARGV[11]] or '0')
    if not sum then return 'CORRUPT\0' .. ARGV[10] end
    if not folded then return 'CORRUPT\0' .. ARGV[11] end
    for _, name in ipairs(rows) do
      if excess > 0 and not mine[name] then
        local n = whole(field[name])
        if not n then return 'CORRUPT\0' .. name end
        sum, folded, excess = sum + n, folded + 1, excess - 1
        remove[#remove + 1] = name
        field[name] = nil
      end
    end
    if sum > limit or sum < -limit then return 'OVERFLOW\0' .. ARGV[10] end
    set(ARGV[10], string.format('%.0f', sum))
    set(ARGV[11], string.format('%.0f', folded))
  end
end

if grows then
  local bytes = 0
  for name, value in pairs(field) do
    bytes = bytes + #name + #value
  end
  if bytes > tonumber(ARGV[4]) then return 'TOOLARGE' end
end

if #flat == 0 then
  write[#write + 1] = '@created'
  write[#write + 1] = created
end
for i = 1, #write, 1000 do redis.call('HSET', key, unpack(write, i, math.min(i + 999, #write))) end
for i = 1, #remove, 1000 do redis.call('HDEL', key, unpack(remove, i, math.min(i + 999, #remove))) end
redis.call('PEXPIRE', key, ttl)
return reply()
