"""Keys, signatures and limits, decided. Pure: no I/O, no clock, no randomness of its own."""
