"""Judge a server's settings: what may lose an acknowledged commit, and what costs. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from guilder.cli.doctor.finding import Finding, ok, warn


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    wanted: tuple[str, ...]
    means: str
    refused: bool = False
    """Whether a service refuses a server without it, unless told otherwise."""
    of_binlog: bool = False
    """Whether it only counts where there is a binlog."""


_CRASH = "a crash of the machine may lose commits that were acknowledged"
_LOCKS = "the services set their own sessions, but migrations and people lock more than they need"
_RULES = (
    _Rule("innodb_flush_log_at_trx_commit", ("1",), _CRASH, refused=True),
    _Rule(
        "log_bin",
        ("ON",),
        "no replica, no restore to a moment; and a commit shows before it is durable",
        refused=True,
    ),
    _Rule("sync_binlog", ("1",), _CRASH, refused=True, of_binlog=True),
    _Rule(
        "binlog_format",
        ("ROW",),
        "what statements are replayed as need not be what was committed",
        refused=True,
        of_binlog=True,
    ),
    _Rule("innodb_doublewrite", ("ON", "1"), "a page that was torn by a crash can't be mended"),
    _Rule(
        "binlog_row_image",
        ("MINIMAL",),
        "whole rows go into the binlog: a quarter more of it for each transfer",
        of_binlog=True,
    ),
    _Rule(
        "binlog_annotate_row_events",
        ("OFF",),
        "the text of each packet goes into the binlog too: three times as much of it",
        of_binlog=True,
    ),
    # MariaDB's name, and MySQL's.
    _Rule("tx_isolation", ("READ-COMMITTED",), _LOCKS),
    _Rule("transaction_isolation", ("READ-COMMITTED",), _LOCKS),
)
VARIABLES = tuple(rule.name for rule in _RULES)
"""What a server is asked for; those that it does not know it leaves out."""


def judge(
    part: str, variables: Mapping[str, str], service: str, *, weak_allowed: bool
) -> list[Finding]:
    """Return a line for each setting that is not as it should be, or one that all are."""
    binlog = variables.get("log_bin") == "ON"
    found: list[Finding] = []
    for rule in _RULES:
        value = variables.get(rule.name)
        if value is None or value.upper() in rule.wanted or (rule.of_binlog and not binlog):
            continue
        means = rule.means
        if rule.refused:
            allowed = f"{service.upper()}_ALLOW_WEAK_DURABILITY is true"
            means += f"; {service} " + (f"serves it: {allowed}" if weak_allowed else "refuses it")
        mend = f"{rule.name}={rule.wanted[0]} in the server's configuration"
        found.append(warn(part, "durability", f"{rule.name}={value}", means, mend))
    if found:
        return found
    text = "flush 1, sync_binlog 1, binlog ROW"
    return [ok(part, "durability", text, "what was acknowledged survives a crash")]
