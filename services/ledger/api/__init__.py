"""What callers reach: parse, ask, render. Never touches SQL."""
