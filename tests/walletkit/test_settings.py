"""What is wrong in the environment is named: the variable, its value, the rule; never a secret."""

from typing import Annotated, Self

import pytest
from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

from walletkit.settings import MAX_SHOWN, Address, DatabaseUrl, SettingsError, load, strict


class Settings(BaseSettings):
    """The settings of some program."""

    model_config = strict("Q_")

    listen: Address = "127.0.0.1:1"
    """Where it listens."""
    queue_limit: int = Field(default=10, ge=1, le=100)
    database_url: DatabaseUrl = Field(default="mysql://h/d", repr=False)
    secret: Annotated[str, Field(max_length=3)] = Field(default="", repr=False)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.queue_limit == 13:
            raise ValueError("must not be all of it")
        return self


def refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str:
    """Return why a start with a variable is refused."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load(Settings)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Q_QUEUE_LIMITS", "; did you mean Q_QUEUE_LIMIT?"),
        ("Q_LISTN", "; did you mean Q_LISTEN?"),
        ("Q_ZZZZZZZZZZZZ", ""),
    ],
)
def test_an_unknown_variable_is_told_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, name: str, near: str
) -> None:
    """One that is like no other is told alone."""
    assert refused(monkeypatch, name, "1") == f"{name}: unknown{near}"


def test_a_wrong_value_is_told_with_its_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variable, rule, value; a long one is cut."""
    told = refused(monkeypatch, "Q_QUEUE_LIMIT", "0")
    assert told == "Q_QUEUE_LIMIT: Input should be greater than or equal to 1, not '0'"
    monkeypatch.delenv("Q_QUEUE_LIMIT")
    told = refused(monkeypatch, "Q_LISTEN", "x" * 1_000)
    assert told.endswith(f", not '{'x' * MAX_SHOWN}'")


@pytest.mark.parametrize("name", ["Q_SECRET", "Q_DATABASE_URL"])
def test_a_secret_is_never_told(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Only what is wrong with it."""
    told = refused(monkeypatch, name, "hunter2://")
    assert told.startswith(f"{name}: ")
    assert "hunter" not in told


def test_what_does_not_fit_together_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule of several variables is of none alone."""
    assert refused(monkeypatch, "Q_QUEUE_LIMIT", "13").startswith("Q_*: ")


def test_all_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to start ten times."""
    monkeypatch.setenv("Q_LISTEN", "nowhere")
    lines = refused(monkeypatch, "Q_TYPO", "1").splitlines()
    assert [line.partition(":")[0] for line in lines] == ["Q_TYPO", "Q_LISTEN"]


def test_a_docstring_is_the_meaning() -> None:
    """So docs/configuration.md says what the code says."""
    assert Settings.model_fields["listen"].description == "Where it listens."
