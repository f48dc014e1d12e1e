"""The wallet service: the only place where a balance changes."""
