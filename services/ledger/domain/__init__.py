"""Pure: how records become entries, and how legs pair. No I/O, no clock."""
