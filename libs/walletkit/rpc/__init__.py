"""gRPC plumbing that all services share: server, interceptor, status."""
