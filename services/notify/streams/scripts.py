"""The Lua that runs in Redis.

Each script is one atomic step, so a crash or a lost second leaves no half of one.

Times are Redis's own, in ms: one clock for all processes. Arguments are named at each script; how
they are filled is in ``records`` and ``queues``.
"""

_NOW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
"""

# KEYS head, records, shards. ARGV shard, seq expected as head, hash of the last record, most
# records, most bytes, then seq and payload of each record. Returns seq and hash of the head,
# changed or not.
APPEND = """
local seq = tonumber(redis.call('HGET', KEYS[1], 'seq') or '0')
if seq ~= tonumber(ARGV[2]) then return {seq, redis.call('HGET', KEYS[1], 'hash')} end
local bytes = tonumber(redis.call('HGET', KEYS[1], 'bytes') or '0')
for i = 6, #ARGV, 2 do
  redis.call('XADD', KEYS[2], ARGV[i] .. '-0', 'p', ARGV[i + 1])
  bytes = bytes + #ARGV[i + 1]
end
local kept = redis.call('XLEN', KEYS[2])
local most, limit = tonumber(ARGV[4]), tonumber(ARGV[5])
while kept > 1 and (kept > most or bytes > limit) do
  local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  redis.call('XDEL', KEYS[2], oldest[1])
  bytes = bytes - #oldest[2][2]
  kept = kept - 1
end
seq = ARGV[#ARGV - 1]
redis.call('HSET', KEYS[1], 'seq', seq, 'hash', ARGV[3], 'bytes', bytes)
redis.call('SADD', KEYS[3], ARGV[1])
return {tonumber(seq), ARGV[3]}
"""

# Queue one delivery unless it is queued: DUE, BODY prefixes, subscription, event id, body.
_PUT = """
local function put(due, body, wake, sub, event, content)
  if redis.call('ZADD', due .. sub, 'NX', now, event) == 1 then
    redis.call('HSET', body .. sub, event, content)
    redis.call('ZADD', wake, 'LT', now, sub)
    return 1
  end
  return 0
end
"""

# KEYS sent, generation, lag, wake. ARGV due prefix, body prefix, sent expected, sent new,
# generation expected, queue limit, then subscription, seq, event id, body of each delivery. Returns
# sent, and 1 if it was done. A queue is measured once a record: what one record adds may exceed the
# limit.
DISPATCH = (
    _NOW
    + _PUT
    + """
local sent = tonumber(redis.call('GET', KEYS[1]) or '0')
if (redis.call('GET', KEYS[2]) or '0') ~= ARGV[5] then return {sent, 0} end
if sent ~= tonumber(ARGV[3]) then return {sent, 0} end
local lags, measured = {}, {}
for i = 7, #ARGV, 4 do
  local sub, seq = ARGV[i], ARGV[i + 1]
  if measured[sub] == nil then lags[sub] = redis.call('HEXISTS', KEYS[3], sub) == 1 end
  if measured[sub] ~= seq and not lags[sub] then
    if redis.call('ZCARD', ARGV[1] .. sub) >= tonumber(ARGV[6]) then
      redis.call('HSET', KEYS[3], sub, seq - 1)
      lags[sub] = true
    end
  end
  measured[sub] = seq
  if not lags[sub] then put(ARGV[1], ARGV[2], KEYS[4], sub, ARGV[i + 2], ARGV[i + 3]) end
end
if ARGV[4] ~= ARGV[3] then redis.call('SET', KEYS[1], ARGV[4]) end
return {tonumber(ARGV[4]), 1}
"""
)

# KEYS sent, lag, wake. ARGV due prefix, body prefix, subscription, lag expected, lag new, then
# event id and body of each delivery. Returns 1 if it was done. One that has caught up with ``sent``
# lags no more.
CATCH_UP = (
    _NOW
    + _PUT
    + """
local sub = ARGV[3]
if redis.call('HGET', KEYS[2], sub) ~= ARGV[4] then return 0 end
for i = 6, #ARGV, 2 do put(ARGV[1], ARGV[2], KEYS[3], sub, ARGV[i], ARGV[i + 1]) end
if tonumber(ARGV[5]) >= tonumber(redis.call('GET', KEYS[1]) or '0') then
  redis.call('HDEL', KEYS[2], sub)
else
  redis.call('HSET', KEYS[2], sub, ARGV[5])
end
return 1
"""
)

# KEYS wake. ARGV due prefix, body prefix, subscription, then event id and body. Returns how many
# were new.
REPLAY = (
    _NOW
    + _PUT
    + """
local queued = 0
for i = 4, #ARGV, 2 do
  queued = queued + put(ARGV[1], ARGV[2], KEYS[1], ARGV[3], ARGV[i], ARGV[i + 1])
end
return queued
"""
)

# KEYS generation. ARGV lag prefix, sent keys follow in KEYS; subscription, then shard and start of
# each. A new subscription lags where records behind its start are dispatched already.
ACTIVATE = """
for i = 3, #ARGV, 2 do
  local sent = tonumber(redis.call('GET', KEYS[(i + 1) / 2]) or '0')
  if sent > tonumber(ARGV[i + 1]) then
    redis.call('HSET', ARGV[1] .. ARGV[i], ARGV[2], ARGV[i + 1])
  end
end
return redis.call('INCR', KEYS[1])
"""

# KEYS generation, wake, due, body, tries, then lag of each shard. ARGV subscription.
DROP = """
redis.call('INCR', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[3], KEYS[4], KEYS[5])
for i = 6, #KEYS do redis.call('HDEL', KEYS[i], ARGV[1]) end
"""

_REFRESH = """
local function refresh(wake, due, sub)
  local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
  if first[1] then redis.call('ZADD', wake, first[2], sub) else redis.call('ZREM', wake, sub) end
end
"""

# KEYS wake, due, body, tries. ARGV subscription, how many, lease in ms. Returns event id, body,
# tries of each.
CLAIM = (
    _NOW
    + _REFRESH
    + """
local claimed = {} for _, event in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', now, 'BYSCORE',
'LIMIT', 0, ARGV[2])) do
  local body = redis.call('HGET', KEYS[3], event)
  if body then
    redis.call('ZADD', KEYS[2], now + ARGV[3], event)
    claimed[#claimed + 1] = {event, body, redis.call('HGET', KEYS[4], event) or ''}
  else
    redis.call('ZREM', KEYS[2], event)
  end
end
refresh(KEYS[1], KEYS[2], ARGV[1])
return claimed
"""
)

# KEYS wake, due, body, tries. ARGV subscription, event id.
SETTLE = (
    _REFRESH
    + """
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('HDEL', KEYS[3], ARGV[2])
redis.call('HDEL', KEYS[4], ARGV[2])
refresh(KEYS[1], KEYS[2], ARGV[1])
"""
)

# KEYS wake, due, body, tries. ARGV subscription, event id, delay in ms, tries. What was dropped
# stays dropped.
POSTPONE = (
    _NOW
    + _REFRESH
    + """
if redis.call('HEXISTS', KEYS[3], ARGV[2]) == 0 then return 0 end
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[2])
redis.call('HSET', KEYS[4], ARGV[2], ARGV[4])
refresh(KEYS[1], KEYS[2], ARGV[1])
return 1
"""
)

# KEYS wake. ARGV how many. Returns ms until the next one is due (-1 for none), then the
# subscriptions that are due.
READY = (
    _NOW
    + """
local wait = -1
local from = '(' .. now
local next =
  redis.call('ZRANGE', KEYS[1], from, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
if next[1] then wait = next[2] - now end
local due = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[1])
return {wait, due}
"""
)
