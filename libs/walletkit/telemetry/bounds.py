"""Bounds of histograms' buckets, chosen for the questions that are asked of them."""

LATENCY_S = (
    *(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04),
    *(0.05, 0.06, 0.075, 0.09, 0.1, 0.125, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 30),
)
"""Of a call, seconds. Every goal is a bound (p50 < 50 ms, p95 and p99 < 100 ms, p99 < 200 ms,
an alert at 500 ms), so that the share of calls within it is exact; between 50 and 200 ms neighbours
are 11 to 33 % apart, so that a p99 there is off by no more."""

COMMIT_S = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1),
    *(0.2, 0.5, 1, 2, 5),
)
"""Of a packet to a database, seconds: 1 to 20 ms when all is well, 2 s at a lock wait."""

LAG_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5)
"""Of the event loop, seconds: 20 ms of it are felt in the p99."""

DELIVERY_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200, 43_200)
"""Of a webhook, seconds: from a quick answer to the last retry."""

BATCH = (1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1_000)
"""Of a batch, commands or records; 1,000 is the most."""
