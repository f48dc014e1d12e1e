"""Commit commands in groups, one queue and one loop for each shard; never sees protobuf or SQL."""
