"""Judge how far another clock is from this machine's. Pure."""

from guilder.cli.doctor.finding import Finding, fail, ok, warn

WARN_S = 1.0
FAIL_S = 10.0
"""Tokens are believed with clocks that differ by so much; beyond it callers are refused."""

_MEND = "let NTP (chrony, systemd-timesyncd) keep the time on both machines"


def compare(part: str, there_s: float, sent_s: float, back_s: float) -> Finding:
    """Return the line of a clock that said ``there_s`` between a question and its answer."""
    return judge(part, there_s - (sent_s + back_s) / 2, (back_s - sent_s) / 2)


def judge(part: str, ahead_s: float, unsure_s: float) -> Finding:
    """Return the line of a clock that is ``ahead_s`` before ours, give or take ``unsure_s``."""
    apart = max(0.0, abs(ahead_s) - unsure_s)
    found = f"{ahead_s:+.3f} s ± {unsure_s:.3f}"
    if apart > FAIL_S:
        means = "tokens are refused or outlive their end, holds expire at the wrong moment"
        return fail(part, "clock", found, means, _MEND)
    if apart > WARN_S:
        means = "lags, ages and the expiry of holds are off by as much"
        return warn(part, "clock", found, means, _MEND)
    return ok(part, "clock", found, "tells the same time as this machine")
