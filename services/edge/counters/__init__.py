"""What edge counts in Redis, for all of its processes together: nonces and calls."""
