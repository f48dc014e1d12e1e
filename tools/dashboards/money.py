"""Dashboards of what callers do and feel: money, latency, the front door."""

from tools.dashboards.panels import RATE, Board, panel, quantiles, rate

_FRONT = 'envoy_http_conn_manager_prefix="front"'
_DECIDED = "wallet_transactions_total"

MONEY = Board(
    "money",
    "money",
    (
        panel(
            "Transactions a second",
            "ops",
            (f'sum (rate({_DECIDED}{{status!="declined"}}[{RATE}]))', "made"),
            (f'sum (rate({_DECIDED}{{status="declined"}}[{RATE}]))', "declined"),
            about="A transaction over two shards counts once, at its home.",
        ),
        panel(
            "Share that succeeds",
            "percentunit",
            (
                (
                    f'sum (rate({_DECIDED}{{status!="declined"}}[{RATE}]))'
                    f" / sum (rate({_DECIDED}[{RATE}]))"
                ),
                "transactions not declined",
            ),
            ("1 - guilder:failed_calls:ratio_rate5m", "calls without a fault, {{at}}"),
            about="A decline is an answer: calls without a fault are what 99.99 % are promised of.",
        ),
        panel("By type", "ops", rate(_DECIDED, "type", "status")),
        panel(
            "Volume",
            "short",
            rate("wallet_volume_minor_total", "currency"),
            about="Minor units a second, each currency by itself.",
        ),
        panel("Declines", "ops", rate("wallet_declines_total", "reason")),
        panel("Errors", "ops", rate("wallet_errors_total", "type", "code")),
        panel("Holds", "ops", rate("wallet_hold_changes_total", "kind")),
        panel("Idempotent replays", "ops", rate("wallet_idempotent_replays_total", "shard")),
    ),
)

LATENCY = Board(
    "latency",
    "latency",
    (
        panel(
            "All calls of the wallet",
            "s",
            *quantiles("wallet_grpc_request_duration_seconds"),
            about="The goals: p50 below 50 ms, p95 and p99 below 100 ms; the alert is at 500 ms.",
        ),
        panel(
            "Share within 100 ms",
            "percentunit",
            (
                (
                    f'sum (rate(wallet_grpc_request_duration_seconds_bucket{{le="0.1"}}[{RATE}]))'
                    f" / sum (rate(wallet_grpc_request_duration_seconds_count[{RATE}]))"
                ),
                "wallet",
            ),
        ),
        panel(
            "p99 by call",
            "s",
            quantiles("wallet_grpc_request_duration_seconds", "method")[2],
        ),
        panel(
            "HTTP at Envoy",
            "ms",
            *quantiles("envoy_http_downstream_rq_time", chosen=f"{{{_FRONT}}}"),
        ),
        panel("Ledger", "s", *quantiles("ledger_grpc_request_duration_seconds")),
        panel("Notify", "s", *quantiles("notify_grpc_request_duration_seconds")),
        panel("Calls a second", "reqps", rate("wallet_grpc_requests_total", "method")),
        panel(
            "Lateness of event loops",
            "s",
            (
                (
                    f"histogram_quantile(0.99, sum by (le, instance)"
                    f" (rate(guilder_event_loop_lag_seconds_bucket[{RATE}])))"
                ),
                "p99 {{instance}}",
            ),
            about="What every call waits beside its own work. 20 ms are felt.",
        ),
    ),
)

EDGE = Board(
    "edge",
    "front door and edge",
    (
        panel(
            "HTTP answers",
            "reqps",
            rate(
                "envoy_http_downstream_rq_xx", "envoy_response_code_class", chosen=f"{{{_FRONT}}}"
            ),
        ),
        panel(
            "Connections and requests at Envoy",
            "short",
            (f"sum (envoy_http_downstream_cx_active{{{_FRONT}}})", "connections"),
            (f"sum (envoy_http_downstream_rq_active{{{_FRONT}}})", "requests"),
        ),
        panel(
            "Requests to services",
            "reqps",
            rate("envoy_cluster_upstream_rq_total", "envoy_cluster_name"),
        ),
        panel(
            "Members of services that Envoy counts as well",
            "short",
            (
                "sum by (envoy_cluster_name) (envoy_cluster_membership_healthy)",
                "{{envoy_cluster_name}}",
            ),
        ),
        panel("Decisions on credentials", "reqps", rate("edge_decisions_total", "decision")),
        panel("Time of a decision", "s", *quantiles("edge_decision_seconds")),
        panel("Refused credentials", "reqps", rate("edge_refusals_total", "cause")),
        panel("Limits", "reqps", rate("edge_rate_decisions_total", "route", "decision")),
        panel(
            "Keys",
            "reqps",
            rate("edge_key_lookups_total", "source"),
            about="`database` is what the five seconds in memory did not have.",
        ),
        panel("Loops that fail", "ops", rate("edge_loop_faults_total", "loop")),
    ),
)
