"""What does not fit together stops the start by name; a renewed token is taken up."""

import os
from pathlib import Path

import pytest
from pydantic import Field

from walletkit.auth.refusals import StartError
from walletkit.auth.settings import AuthSettings
from walletkit.auth.token_file import TokenFile
from walletkit.settings import Address, SettingsError, load, strict


class Settings(AuthSettings):
    """The settings of some service."""

    model_config = strict("T_")

    listen: Address = Field(default="127.0.0.1:1")


GOOD = {
    "T_AUTH_ISSUER": "https://one.test, https://two.test",
    "T_AUTH_JWKS": "/one.json,https://two.test/jwks",
}


def loaded(monkeypatch: pytest.MonkeyPatch, **changes: str | None) -> Settings:
    """Read the environment."""
    for name, value in {**GOOD, **changes}.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    return load(Settings)


def test_the_default_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    """Issuers and their keys are paired by order."""
    settings = loaded(monkeypatch)
    assert settings.auth_mode == "required"
    assert settings.auth_audience == "guilder"
    assert list(zip(settings.auth_issuer, settings.auth_jwks, strict=True)) == [
        ("https://one.test", "/one.json"),
        ("https://two.test", "https://two.test/jwks"),
    ]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"T_AUTH_ISSUER": None, "T_AUTH_JWKS": None}, "T_AUTH_JWKS: .*missing"),
        ({"T_AUTH_JWKS": "/one.json"}, "T_AUTH_JWKS"),
        ({"T_AUTH_ISSUER": "a,a"}, "T_AUTH_JWKS"),
        ({"T_AUTH_JWKS": "/one.json,ftp://two"}, "T_AUTH_JWKS"),
        ({"T_AUTH_AUDIENCE": ""}, "T_AUTH_AUDIENCE"),
        ({"T_AUTH_MODE": "off"}, "T_AUTH_MODE"),
        ({"T_AUTH_INTERNAL_SUBJECTS": "relay"}, "T_AUTH_INTERNAL_SUBJECTS"),
        ({"T_AUTH_INTERNAL_ISSUER": "https://one.test"}, "T_AUTH_INTERNAL_SUBJECTS"),
        (
            {"T_AUTH_INTERNAL_ISSUER": "x", "T_AUTH_INTERNAL_SUBJECTS": "relay"},
            "T_AUTH_INTERNAL_SUBJECTS",
        ),
        ({"T_TLS_CERT": "/cert.pem"}, "T_TLS_KEY"),
        ({"T_TLS_KEY": "/key.pem"}, "T_TLS_KEY"),
        ({"T_TLS_CLIENT_CA": "/ca.pem"}, "T_TLS_CLIENT_CA"),
        ({"T_TLS_INTERNAL_NAMES": "relay"}, "T_TLS_INTERNAL_NAMES"),
        ({"T_AUTH_MODE": "trusted", "T_LISTEN": "0.0.0.0:1"}, "T_LISTEN: .*loopback"),
        ({"T_AUTH_MODE": "trusted", "T_LISTEN": "[::]:1"}, "T_LISTEN"),
        ({"T_AUTH_MODE": "trusted", "T_LISTEN": "10.0.0.1:1"}, "T_LISTEN"),
        ({"T_AUTH_MODE": "trusted", "T_LISTEN": "wallet:1"}, "T_LISTEN"),
        ({"T_AUTH_MODE": "trusted", "T_LISTEN": "127.0.0.1.evil.test:1"}, "T_LISTEN"),
    ],
)
def test_what_does_not_fit_is_named(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str | None], named: str
) -> None:
    """A service that would let in the wrong callers, or none, does not start."""
    for name in GOOD.keys() & {name for name, value in changes.items() if value is None}:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match=named):
        loaded(monkeypatch, **changes)


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "127.8.0.1:1", "localhost:1", "[::1]:1"])
def test_trust_is_for_loopback(monkeypatch: pytest.MonkeyPatch, listen: str) -> None:
    """Only this machine's callers may be trusted; then no issuer is needed."""
    trusted = {"T_AUTH_MODE": "trusted", "T_LISTEN": listen}
    none = {"T_AUTH_ISSUER": "", "T_AUTH_JWKS": ""}
    assert loaded(monkeypatch, **trusted, **none).auth_mode == "trusted"


def test_any_address_may_be_listened_on_with_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Required is for every address."""
    assert loaded(monkeypatch, T_LISTEN="0.0.0.0:1").listen == "0.0.0.0:1"


def test_a_token_file_is_read_again(tmp_path: Path) -> None:
    """A renewed token counts from the next call on; while the file has none, the last one does."""
    path = tmp_path / "token"
    path.write_text("first\n", encoding="utf-8")
    held = TokenFile(path)
    assert held.token() == "first"
    replacement = tmp_path / "next"
    replacement.write_text("second", encoding="utf-8")
    os.replace(replacement, path)  # noqa: PTH105  # what a projected volume does
    assert held.token() == "second"
    path.write_text("", encoding="utf-8")
    assert held.token() == "second"
    path.unlink()
    assert held.token() == "second"
    assert "second" not in repr(held)


@pytest.mark.parametrize("content", [None, "", "x" * 9_000, "a\nb"])
def test_a_token_file_without_a_token_stops_the_start(tmp_path: Path, content: str | None) -> None:
    """A service that could not call the others does not start; what it read is not shown."""
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(StartError, match="token") as caught:
        TokenFile(path)
    assert "xxx" not in str(caught.value)
