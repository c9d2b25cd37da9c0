"""The Lua scripts of the session store: each is one atomic step. Times are milliseconds since 1970.

A session is a hash; ``by_sid`` and ``by_subject`` are sorted sets of session keys, scored by the sessions' absolute end.
"""

CREATE = """
-- KEYS: session, by_sid, by_subject, ended marker of the sid. ARGV: absolute end, ttl, now, sessions a user may have, then field, value, …
if redis.call('EXISTS', KEYS[4]) == 1 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
for i = 2, 3 do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', ARGV[3])
  redis.call('ZADD', KEYS[i], ARGV[1], KEYS[1])
  redis.call('PEXPIREAT', KEYS[i], ARGV[1])
end
local surplus = redis.call('ZCARD', KEYS[3]) - tonumber(ARGV[4])
if surplus > 0 then
  for _, key in ipairs(redis.call('ZRANGE', KEYS[3], 0, surplus - 1)) do redis.call('DEL', key) end
  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, surplus - 1)
end
return 1
"""

EXTEND = """
-- KEYS: session. ARGV: now, idle time, grace. Returns the new idle end, or 0 where there is no live session: an ended one is not revived.
local ends = redis.call('HMGET', KEYS[1], 'idle_expires_ms', 'absolute_expires_ms')
if not ends[1] or not ends[2] then return 0 end
local now, absolute = tonumber(ARGV[1]), tonumber(ends[2])
if now >= tonumber(ends[1]) or now >= absolute then return 0 end
local idle = math.min(now + tonumber(ARGV[2]), absolute)
redis.call('HSET', KEYS[1], 'idle_expires_ms', string.format('%d', idle))
redis.call('PEXPIRE', KEYS[1], string.format('%d', idle - now + tonumber(ARGV[3])))
return idle
"""

BEGIN_REFRESH = """
-- KEYS: session, lock. ARGV: lock's time, refresh_ms that the caller saw. Returns the fence (> 0), 0 locked by another, -1 gone, -2 refreshed meanwhile.
local due = redis.call('HGET', KEYS[1], 'refresh_ms')
if not due then return -1 end
if due ~= ARGV[2] then return -2 end
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
local fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('SET', KEYS[2], fence, 'PX', ARGV[1])
return fence
"""

FINISH_REFRESH = """
-- KEYS: session, lock. ARGV: fence, then field, value, … Returns 1, 0 overtaken by a later refresh, -1 gone.
local fence = redis.call('HGET', KEYS[1], 'fence')
if not fence then return -1 end
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
if fence ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
return 1
"""

RELEASE = """
-- KEYS: lock. ARGV: fence. Frees the lock if it is still the caller's.
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""

END = """
-- KEYS: session, lock, by_sid, by_subject. Returns 1 if there was a session.
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[3], KEYS[1])
redis.call('ZREM', KEYS[4], KEYS[1])
return redis.call('DEL', KEYS[1])
"""

END_BY_NOTICE = """
-- KEYS: seen marker of the token, index (by_sid or by_subject), ended marker ('' if none). ARGV: marker's ttl, subject ('' any).
-- Returns {0} for a token seen before, else {1, ended session key, …}.
if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) then return {'0'} end
if KEYS[3] ~= '' then redis.call('SET', KEYS[3], '1', 'PX', ARGV[1]) end
local ended = {'1'}
for _, key in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if ARGV[2] == '' or redis.call('HGET', key, 'subject') == ARGV[2] then
    if redis.call('DEL', key) == 1 then table.insert(ended, key) end
    redis.call('ZREM', KEYS[2], key)
  end
end
return ended
"""

COUNT = """
-- KEYS: counter. ARGV: window. Returns {count, milliseconds until the window ends}.
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('PTTL', KEYS[1])}
"""

READ_COUNTED = """
-- KEYS: session. ARGV: window, what a person's counter is called before the subject. Returns {count, milliseconds until the window ends, field, value, …};
-- nothing is counted for a session that is not there.
local fields = redis.call('HGETALL', KEYS[1])
local subject = redis.call('HGET', KEYS[1], 'subject')
if not subject then return {0, 0} end
local counter = ARGV[2] .. subject
local count = redis.call('INCR', counter)
if count == 1 then redis.call('PEXPIRE', counter, ARGV[1]) end
return {count, redis.call('PTTL', counter), unpack(fields)}
"""
