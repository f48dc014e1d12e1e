-- Count calls by client and kind of call, with tokens that edge has given to this worker in advance.
--
-- A lease is a few tokens of a client's bucket in Redis. They left the bucket when they were given, so
-- whatever is done with them here, all Envoys together let no more calls pass than the bucket gave. Who
-- calls often gets larger leases, so that hardly any call waits for edge. Envoy runs this in each of its
-- workers by itself: nothing is shared, and between two yields (httpCall) nothing else happens.
--
-- The configuration begins with one line more: local UNCOUNTED_PASS = true, or false, which says what
-- becomes of calls while edge does not answer.

local LEASE_MS = 2000
-- How long the tokens of a lease are good for: so far back may a call be charged.
local MAX_TOKENS = 1000
-- Of one lease, as edge gives at most.
local HOLD_MS, MAX_HOLD_MS = 100, 1000
-- After edge gave none, calls are refused here for as long as it said, within these bounds.
local ASK_MS = 750
-- Longer than edge itself waits for Redis: so edge's own answer comes, whatever it is set to say.
local DOWN_MS = 1000
-- While edge is away one call in this time asks it; the others don't wait for its deadline.
local MAX_LEASES = 10000
-- Kept at least, and twice as many at most; the others are forgotten, which loses tokens, never gives any.
local MAX_CLIENT = 255
-- Characters of a client that leases are kept of: of a longer name each call asks.
local TOO_MANY = "too many calls: retry after what retry-after says"
local NOT_COUNTED = "calls can't be counted now: retry"

local leases, older, kept = {}, {}, 0
local down_until = 0

local function fresh()
  return {
    tokens = 0, -- left
    given_at = 0, -- when the lease was asked for
    ends_at = 0, -- when its tokens are no longer good
    low = 0, -- so few left: one call asks for the next lease, while others use them up
    next_tokens = 0, -- of the next lease, begun when these are used up or have ended
    next_ends_at = 0,
    passed = 0, -- calls since then
    refused = 0, -- calls that edge was not told of
    asking_until = 0, -- another call asks for a lease until then, or has gone away meanwhile
    held_until = 0, -- no token before that
    wait_until = 0, -- when edge said there will be one
    limit = 0, -- what edge said last: size of the bucket, what was left in it, when it is full
    remaining = 0,
    full_at = 0,
  }
end

-- Two generations bound what is kept: when the younger one is full it becomes the older one.
local function lease_of(name, now)
  local found = leases[name]
  if found == nil then
    found = older[name] or fresh()
    if kept >= MAX_LEASES then
      leases, older, kept = {}, leases, 0
    end
    leases[name], kept = found, kept + 1
  end
  if now < found.given_at then
    -- The clock was set back: nothing that was noted by it holds.
    found = fresh()
    leases[name] = found
  end
  return found
end

-- Twice what the last lease let pass before it was used up, or what passes in the time of one.
local function wanted(lease, now)
  local age = now - lease.given_at
  local calls = 2 * lease.passed
  if age >= LEASE_MS then
    calls = math.floor(lease.passed * LEASE_MS / age)
  end
  return math.max(1, math.min(calls, MAX_TOKENS))
end

local function varint(number)
  local bytes = {}
  while number >= 128 do
    bytes[#bytes + 1] = string.char(number % 128 + 128)
    number = math.floor(number / 128)
  end
  bytes[#bytes + 1] = string.char(number)
  return table.concat(bytes)
end

-- A TakeTokensRequest in gRPC's frame: not compressed, its length, its fields.
local function request_of(client, route, tokens, refused)
  local message = table.concat({
    "\10", varint(#client), client,
    "\18", varint(#route), route,
    "\24", varint(tokens),
    "\32", varint(refused),
  })
  local size = #message
  return string.char(0, 0, math.floor(size / 65536), math.floor(size / 256) % 256, size % 256) .. message
end

-- The fields of a TakeTokensResponse by their numbers: all are integers, and those that are 0 are not there.
local function reply_of(body)
  local fields, number, factor, tag = {}, 0, 1, nil
  for at = 6, #body do
    local byte = string.byte(body, at)
    number = number + byte % 128 * factor
    factor = factor * 128
    if byte < 128 then
      if tag == nil then
        tag = number
      else
        fields[tag / 8], tag = number, nil
      end
      number, factor = 0, 1
    end
  end
  return fields
end

-- End what has ended, and begin the next lease where nothing is left.
local function settle(lease, now)
  if now >= lease.ends_at then
    lease.tokens = 0
  end
  if lease.tokens < 1 and lease.next_tokens > 0 then
    if now < lease.next_ends_at then
      lease.tokens, lease.ends_at = lease.next_tokens, lease.next_ends_at
    end
    lease.next_tokens = 0
  end
end

-- What one of a crowd is given beside a lease ends with that lease.
local function note(lease, reply, asked_at, now, first)
  local tokens = reply[1] or 0
  settle(lease, now)
  if lease.tokens < 1 then
    lease.tokens, lease.ends_at = tokens, asked_at + LEASE_MS
    lease.low = math.floor(tokens / 4)
  elseif not first then
    lease.tokens = lease.tokens + tokens
  else
    lease.next_tokens, lease.next_ends_at = tokens, asked_at + LEASE_MS
    lease.low = math.floor(tokens / 4)
  end
  lease.limit, lease.remaining = reply[3] or 0, reply[4] or 0
  lease.full_at = now + (reply[5] or 0)
  lease.wait_until = now + (reply[2] or 0)
  lease.held_until = 0
  if tokens < 1 then
    lease.held_until = now + math.min(math.max(reply[2] or 0, HOLD_MS), MAX_HOLD_MS)
  end
end

-- Ask edge for tokens, and tell whether it answered. Others run meanwhile, and this call may never go on: its
-- caller has gone away.
local function ask(handle, lease, client, route, now)
  if now < down_until then
    return false
  end
  local tokens, passed, refused = 1, lease.passed, lease.refused
  local first = now >= lease.asking_until
  if first then
    tokens, lease.asking_until = wanted(lease, now), now + ASK_MS
  end
  lease.refused = 0
  local _, body = handle:httpCall(
    "edge",
    {
      [":method"] = "POST",
      [":path"] = "/guilder.edge.v1.LimitService/TakeTokens",
      [":authority"] = "edge",
      ["te"] = "trailers",
      ["content-type"] = "application/grpc",
    },
    request_of(client, route, tokens, refused),
    { ["timeout_ms"] = ASK_MS, ["send_xff"] = false }
  )
  local answered_at = handle:timestamp(EnvoyTimestampResolution.MILLISECOND)
  if first then
    lease.asking_until = 0
  end
  if body == nil or #body < 5 then
    lease.refused = lease.refused + refused
    down_until = answered_at + DOWN_MS
    return false
  end
  if first then
    lease.passed, lease.given_at = lease.passed - passed, now
  end
  down_until = 0
  note(lease, reply_of(body), now, answered_at, first)
  return true
end

local function seconds(from, to)
  return math.max(0, math.ceil((to - from) / 1000))
end

local function refuse(handle, lease, now)
  local headers = { [":status"] = "429" }
  headers["retry-after"] = tostring(math.max(1, seconds(now, lease.wait_until)))
  if lease.limit > 0 then
    headers["x-ratelimit-limit"] = tostring(lease.limit)
    headers["x-ratelimit-remaining"] = "0"
    headers["x-ratelimit-reset"] = tostring(seconds(now, lease.full_at))
  end
  handle:respond(headers, TOO_MANY)
end

-- Leave for the answer's headers what is known of the limit: as of the lease's begin.
local function tell(handle, lease, now)
  if lease.limit > 0 then
    handle:streamInfo():dynamicMetadata():set("guilder.limit", "told", {
      limit = tostring(lease.limit),
      remaining = tostring(lease.remaining + lease.tokens + lease.next_tokens),
      reset = tostring(seconds(now, lease.full_at)),
    })
  end
end

function envoy_on_request(handle)
  local route = handle:filterContext():get("counted_as")
  local client = handle:headers():get("x-guilder-subject")
  if route == nil or client == nil or client == "" then
    return
  end
  local now = handle:timestamp(EnvoyTimestampResolution.MILLISECOND)
  local lease = #client <= MAX_CLIENT and lease_of(route .. " " .. client, now) or fresh()
  settle(lease, now)
  local soon = lease.tokens <= lease.low and lease.next_tokens < 1 and now >= lease.asking_until
  if lease.tokens < 1 or soon then
    local held = now < lease.held_until
    if held and lease.tokens < 1 then
      lease.refused = lease.refused + 1
      return refuse(handle, lease, now)
    end
    local answered = not held and ask(handle, lease, client, route, now)
    now = handle:timestamp(EnvoyTimestampResolution.MILLISECOND)
    settle(lease, now)
    if lease.tokens < 1 and not answered then
      if not UNCOUNTED_PASS then
        handle:respond({ [":status"] = "503" }, NOT_COUNTED)
      end
      return
    end
    if lease.tokens < 1 then
      return refuse(handle, lease, now)
    end
  end
  lease.tokens = lease.tokens - 1
  lease.passed = lease.passed + 1
  tell(handle, lease, now)
end
