"""The environment is taken as a whole: what is missing, malformed or unknown is named."""

import os

import pytest

from wallet.settings import Settings, load
from walletkit.settings import SettingsError

COMPLETE = {
    "WALLET_LISTEN": "127.0.0.1:50051",
    "WALLET_AUTH_MODE": "trusted",
    "WALLET_LEDGER_ADDRESS": "127.0.0.1:50052",
    "WALLET_NOTIFY_ADDRESS": "notify:50053",
    "WALLET_SHARD_0_URL": "mysql://root@127.0.0.1:13306/wallet_0",
    "WALLET_SHARD_1_URL": "mysql://user:se%40cret@db/wallet_1",
}


def load_from(monkeypatch: pytest.MonkeyPatch, **variables: str | None) -> Settings:
    """Read the settings of the complete environment with some variables changed or taken out."""
    for name in os.environ:
        if name.startswith("WALLET_"):
            monkeypatch.delenv(name)
    for name, value in {**COMPLETE, **variables}.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    return load()


def test_defaults_and_shards_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards become one tuple by their numbers; ten comes after two."""
    more = {f"WALLET_SHARD_{n}_URL": f"mysql://h/w_{n}" for n in range(11)}
    settings = load_from(monkeypatch, **more)
    assert settings.shard_urls == tuple(f"mysql://h/w_{n}" for n in range(11))
    assert (settings.workers, settings.log_level, settings.queue_limit) == (1, "INFO", 10_000)
    assert (settings.batch_window_ms, settings.leg_wait_ms) == (20, 1_000)
    assert settings.outbox_retention_hours == 168
    assert settings.allow_weak_durability is False
    assert load_from(monkeypatch, WALLET_ALLOW_WEAK_DURABILITY="true").allow_weak_durability


@pytest.mark.parametrize(
    ("variable", "value", "rule"),
    [
        ("WALLET_LISTEN", None, "missing"),
        ("WALLET_LEDGER_ADDRESS", None, "missing"),
        ("WALLET_SHARD_0_URL", None, "missing"),
        ("WALLET_SHARDS_2_URL", "mysql://h/w", "unknown"),
        ("WALLET_SHARD_02_URL", "mysql://h/w", "unknown"),
        ("WALLET_SHARD_URLS", "mysql://h/w", "unknown"),
        ("wallet_workers", "2", None),
        ("WALLET_TYPO", "1", "unknown"),
        ("WALLET_WORKERS", "0", "greater"),
        ("WALLET_WORKERS", "many", "integer"),
        ("WALLET_LOG_LEVEL", "LOUD", "INFO"),
        ("WALLET_OUTBOX_RETENTION_HOURS", "0", "greater"),
        ("WALLET_OUTBOX_RETENTION_HOURS", "876001", "less"),
        ("WALLET_LISTEN", "50051", "pattern"),
        ("WALLET_SHARD_1_URL", "postgres://h/w", "mysql://user"),
    ],
)
def test_what_is_wrong_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str | None, rule: str | None
) -> None:
    """The message begins with the variable and says the rule; a name of other case is not ours."""
    if rule is None:
        assert load_from(monkeypatch, **{variable: value}).workers == 1
        return
    with pytest.raises(SettingsError, match=rule) as caught:
        load_from(monkeypatch, **{variable: value})
    assert str(caught.value).startswith(f"{variable}: ")


def test_what_is_nearly_known_is_helped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelled variable is told with the one that it may be meant to be; a value as given."""
    with pytest.raises(SettingsError) as caught:
        load_from(monkeypatch, WALLET_WORKER="2", WALLET_QUEUE_LIMIT="none")
    told = sorted(str(caught.value).splitlines())
    assert told[0].startswith("WALLET_QUEUE_LIMIT: ")
    assert told[0].endswith("not 'none'")
    assert told[1] == "WALLET_WORKER: unknown; did you mean WALLET_WORKERS?"


def test_a_gap_between_shards_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard that was forgotten would make all that come after it another one."""
    with pytest.raises(SettingsError, match="WALLET_SHARD_2_URL: missing"):
        load_from(monkeypatch, WALLET_SHARD_3_URL="mysql://h/w")


def test_passwords_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the object nor in a refusal."""
    assert "se%40cret" not in repr(load_from(monkeypatch))
    with pytest.raises(SettingsError) as caught:
        load_from(monkeypatch, WALLET_SHARD_1_URL="mysql://user:se%40cret@db/")
    assert "se%40cret" not in str(caught.value)
