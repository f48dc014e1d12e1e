"""The gRPC surface: parse, call, render. Never touches SQL or Redis itself."""
