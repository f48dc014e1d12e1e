"""Turn requests into commands, one file a topic. No I/O: what must be read is asked for."""
