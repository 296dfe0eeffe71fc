-- Writes the fields that changed, removes those that were removed and renews the session: all of it or nothing,
-- and only while the session exists.
--
-- KEYS[1] the session
-- ARGV[1] "1": create the session if it is missing    ARGV[2] time to live, ms   ARGV[3] lifetime, ms, 0 = none
-- ARGV[4] most bytes                                  ARGV[5] number of fields to write
-- ARGV[6], ... name, value of each; then the names to remove
--
-- Returns a status: "OK" with the milliseconds to live, both joined with NUL, or what was wrong.
local key, lifetime, writes = KEYS[1], tonumber(ARGV[3]), tonumber(ARGV[5])
local flat = redis.call('HGETALL', key)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local field = {}
for i = 1, #flat, 2 do field[flat[i]] = flat[i + 1] end

local created = field['@created']
local write, remove = {}, {}
if #flat == 0 then
  if ARGV[1] ~= '1' then return 'GONE' end
  created = string.format('%.0f', now)
  write = { '@created', created }
elseif not created or not created:find('^[1-9]%d*$') or #created > 14 then
  return 'CORRUPT\0@created'
elseif lifetime > 0 and now - created >= lifetime then
  redis.call('DEL', key)
  return 'GONE'
end

local ttl = tonumber(ARGV[2])
if lifetime > 0 then ttl = math.min(ttl, lifetime - (now - created)) end

for i = 6, 5 + 2 * writes, 2 do
  field[ARGV[i]] = ARGV[i + 1]
  write[#write + 1] = ARGV[i]
  write[#write + 1] = ARGV[i + 1]
end
for i = 6 + 2 * writes, #ARGV do
  field[ARGV[i]] = nil
  remove[#remove + 1] = ARGV[i]
end

if writes > 0 then
  local bytes = 0
  for name, value in pairs(field) do
    if name:sub(1, 1) ~= '@' then bytes = bytes + #name + #value end
  end
  if bytes > tonumber(ARGV[4]) then return 'TOOLARGE' end
end

for i = 1, #write, 1000 do redis.call('HSET', key, unpack(write, i, math.min(i + 999, #write))) end
for i = 1, #remove, 1000 do redis.call('HDEL', key, unpack(remove, i, math.min(i + 999, #remove))) end
redis.call('PEXPIRE', key, string.format('%.0f', ttl))
return 'OK\0' .. string.format('%.0f', ttl)
