"""What at least two services need: money, ids, clock, errors, rpc, sql, telemetry, stack."""
