"""Names that several parts of the configuration say: filters, types, headers. Pure."""

TYPES = "type.googleapis.com/envoy.extensions"

COMPRESSOR = "compressor"
BUFFER = "buffer"
TRANSCODER = "transcoder"
CORS = "cors"

SUBJECT = "x-guilder-subject"
"""Who calls, of a token that was checked; one that a client sends is removed."""
REQUEST_ID = "x-request-id"
REQUEST_ID_REGEX = "[A-Za-z0-9._:-]{1,64}"
"""As the services take it: walletkit.rpc.interceptor."""
OURS = "x-guilder-"
API_KEY = "x-api-key"
TRACE_HEADERS = ("traceparent", "tracestate")
"""Of W3C Trace Context."""
SIGNATURE = "x-signature"
NO_COMPRESSION = "x-no-compression"
HEALTH = "/healthz"
