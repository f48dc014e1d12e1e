-- Remember for a moment which token edge gave for an API key, so that not each call of its holder is asked about.
--
-- What is not known here for certain goes on to edge as it came: this decides nothing, it repeats an answer.
-- Envoy runs this in each of its workers by itself.

local KEPT_MS = 2000
-- No answer is repeated for longer, whatever edge says, and none is kept for more than twice as long.
local MAX_KEYS = 10000
-- Kept for a time and the time before it, each.
local OTHERS = {
  "authorization", "x-signature", "x-signature-key-id", "x-signature-nonce", "x-signature-timestamp",
}
-- With another credential beside the key edge refuses the call.

local known, older, kept, begun_at = {}, {}, 0, 0

local function forget(now)
  if now < begun_at then
    -- The clock was set back: no time that was noted by it holds.
    known, older, kept, begun_at = {}, {}, 0, now
  elseif now - begun_at >= KEPT_MS or kept >= MAX_KEYS then
    known, older, kept, begun_at = {}, known, 0, now
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local key = headers:get("x-api-key")
  if key == nil then
    return
  end
  for _, name in ipairs(OTHERS) do
    if headers:get(name) ~= nil then
      return
    end
  end
  local now = handle:timestamp(EnvoyTimestampResolution.MILLISECOND)
  forget(now)
  local found = known[key] or older[key]
  if found ~= nil and now < found.ends_at then
    headers:remove("x-api-key")
    headers:replace("authorization", found.authorization)
    return
  end
  handle:streamInfo():dynamicMetadata():set("guilder.known_keys", "asked", { key = key, at = now })
end

function envoy_on_response(handle)
  local metadata = handle:streamInfo():dynamicMetadata()
  local asked, granted = metadata:get("guilder.known_keys"), metadata:get("envoy.filters.http.ext_authz")
  if asked == nil or granted == nil then
    return
  end
  local key, at = asked["asked"]["key"], asked["asked"]["at"]
  local ends_at = at + math.min(granted["kept_ms"], KEPT_MS)
  local now = handle:timestamp(EnvoyTimestampResolution.MILLISECOND)
  forget(now)
  if at <= now and now < ends_at then
    if known[key] == nil then
      kept = kept + 1
    end
    known[key] = { authorization = granted["authorization"], ends_at = ends_at }
  end
end
