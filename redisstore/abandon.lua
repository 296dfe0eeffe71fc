-- Leaves what lies under a session's key, but not for ever: what has no time to live gets one.
-- KEYS[1] the session   ARGV[1] time to live, ms
if redis.call('PTTL', KEYS[1]) == -1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 'OK'
