"""Edge's own database: API keys, and the log of what was done to them."""
