"""`guilder auth key`, `auth events`: keys are made, listed, rotated and revoked from the shell."""

from collections.abc import Callable
from typing import Any

from typer.testing import Result


def test_a_keys_life(cli: Callable[..., Result], cli_json: Callable[..., Any]) -> None:
    """The credential is shown where it is made, and nowhere else."""
    command = ("auth", "key")
    made = cli_json(*command, "create", "shop", "--role", "service", "--reason", "the new shop")
    assert made["credential"].startswith("gk_")
    key_id = made["key"]["keyId"]
    listed = cli_json(*command, "list", "--client", "shop")
    assert [key["keyId"] for key in listed["keys"]] == [key_id]
    rotated = cli_json(*command, "rotate", key_id, "--overlap", "60")
    assert rotated["credential"] != made["credential"]
    shown = cli(*command, "create", "shop", "--role", "service", "--kind", "signing")
    assert shown.exit_code == 0
    assert "gs_" in shown.stdout
    revoked = cli_json(*command, "revoke", key_id)
    assert revoked["state"] == "KEY_STATE_REVOKED"
    table = cli(*command, "list").stdout
    assert "revoked" in table
    assert made["credential"].split("_")[2] not in table
    done = cli_json("auth", "events", "--key", key_id)["events"]
    actions = [event["action"].removeprefix("KEY_ACTION_") for event in done]
    assert actions == ["REVOKED", "ROTATED", "CREATED"]
    assert "the new shop" in cli("auth", "events", "--key", key_id).stdout


def test_what_is_wrong_is_named(cli: Callable[..., Result]) -> None:
    """A malformed wish leaves with the exit code of a usage error, a missing key with 1."""
    wrong = cli("auth", "key", "create", "shop", "--role", "root")
    assert wrong.exit_code == 2
    assert "roles[0]" in wrong.stderr
    missing = cli("auth", "key", "revoke", "01900000-0000-7000-8000-000000000000")
    assert missing.exit_code == 1
    assert "KEY_NOT_FOUND" in missing.stderr
