"""Edge: what Envoy asks about a call: whose credential it carries, and whether it is too many."""
