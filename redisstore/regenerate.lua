-- Moves a session to another key of the same hash tag. Safe to repeat.
-- KEYS[1] the old key   KEYS[2] the new key
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('RENAME', KEYS[1], KEYS[2])
elseif redis.call('EXISTS', KEYS[2]) == 0 then
  return { 'GONE' }
end
return { string.format('%.0f', redis.call('PTTL', KEYS[2])), 'OK' }
