"""MySQL plumbing that all services share: urls, sessions, error classes."""
