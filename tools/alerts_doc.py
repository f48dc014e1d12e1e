"""Write docs/alerts.md from the rules that the chart deploys. `make docs`."""

import sys
from pathlib import Path
from typing import Any

import yaml

RULES = Path("deploy/helm/guilder/files/alerts.yaml")
PAGE = Path("docs/alerts.md")
Rule = dict[str, Any]

_HEAD = """# Alerts

Made from `deploy/helm/guilder/files/alerts.yaml` by `make docs`; a test keeps both equal. `promtool
test rules tests/deploy/alerts/*.yaml` shows each alert fire, and be silent; another test evaluates
all of them on a running suite. What each metric means is in [metrics.md](metrics.md).

- **critical**: wake somebody. **warning**: look at it in working hours.
- An alert with a threshold may have another: in the chart `alerts.rules.<name>.threshold`, without
  it the number in its expression. An alert without one has nothing to set: it is wrong or right.
- Faults are the gRPC codes UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE and DATA_LOSS at the
  wallet, and 5xx at Envoy (not native gRPC, which is answered with 200 there). A decline or a
  malformed request is an answer.
- A process that restarts forgets its gauges. Alerts on what a proof has found look back, so that a
  restart ends none of them.
- The proofs run when somebody runs them: the chart has `guilder verify` run daily. Without it let a
  job do so.
"""


def rules(page: str) -> list[Rule]:
    """Return the alerts of a rule file, in its order."""
    groups = yaml.safe_load(page)["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def page() -> str:
    """Return the page's text."""
    parts = [_HEAD]
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        alerts = [rule for rule in group["rules"] if "alert" in rule]
        if alerts:
            parts.append(f"\n## {group['name'].removeprefix('guilder-')}\n\n")
            parts.append("| alert | severity | threshold | for | meaning |\n")
            parts.append("| --- | --- | --- | --- | --- |\n")
            parts += [_row(rule) for rule in alerts]
    return "".join(parts)


def _row(rule: Rule) -> str:
    notes = rule["annotations"]
    link = f"[{rule['alert']}]({notes['runbook_url'].removeprefix('docs/')})"
    cells = [link, rule["labels"]["severity"], notes.get("threshold", "")]
    cells += [rule.get("for", "at once"), notes["description"]]
    return "| " + " | ".join(cells) + " |\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}: {len(rules(RULES.read_text(encoding='utf-8')))} alerts\n")


if __name__ == "__main__":
    main()
