"""Declare commands: a coroutine that calls, the options it shares, and nothing about showing.

What a command returns is shown by its kind (``show``): a reply as tables, or with --json as the
document that the API gives. Errors and exit codes are those of ``session.run``.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import typer
from google.protobuf.message import Message

from guilder.cli.currency import learn, read_money
from guilder.cli.options import Group, JsonOption, Options
from guilder.cli.render import as_dict, print_json
from guilder.cli.session import EXIT_CODES, MAX_ATTEMPTS, ExitCode, run
from guilder.cli.show import show_items, show_reply
from guilder.client import Guilder, Money


@dataclass(frozen=True, slots=True)
class Call:
    """What a command works with."""

    guilder: Guilder
    options: Options
    """What its option groups gave, by the names of the client."""
    as_json: bool

    async def money(self, words: Sequence[str] | str, hint: str = "'AMOUNT'") -> Money:
        """Read an amount of the command line."""
        return await read_money(self.guilder, [words] if isinstance(words, str) else words, hint)

    async def money_or_none(self, text: str | None, hint: str = "'--amount'") -> Money | None:
        """Read an amount that may be left out."""
        return None if text is None else await self.money(text, hint)

    async def wallet_id(self, text: str) -> str:
        """Return the id behind an alias, for services that know none."""
        if not text.startswith("alias:"):
            return text
        return (await self.guilder.wallet.get_wallet(text)).wallet_id

    async def learn(self, *currency_codes: str) -> None:
        """Make sure that amounts of these currencies can be written."""
        await learn(self.guilder, *currency_codes)


@dataclass(frozen=True, slots=True)
class Listing:
    """Items to show: a table, or one document with ``name``."""

    name: str
    items: AsyncIterator[Any] | Sequence[Any]
    title: str


@dataclass(frozen=True, slots=True)
class View:
    """A document, and how it is shown to people."""

    document: Any
    show: Callable[[], None]
    code: ExitCode = ExitCode.OK


Result = Message | Listing | View | ExitCode | None
Work = TypeVar("Work", bound=Callable[..., Awaitable[Result]])


def command(
    app: typer.Typer, *groups: Group, name: str | None = None, max_attempts: int = MAX_ATTEMPTS
) -> Callable[[Work], Work]:
    """Make a command of a coroutine; its first parameter is the ``Call``, the others are typer's.

    It gets the options of ``groups`` and --json besides, and its name without the underscores.
    """

    def declare(work: Work) -> Work:
        def invoke(**given: Any) -> None:  # noqa: ANN401 - what typer parsed
            ctx, as_json = given.pop("ctx"), given.pop("as_json")
            options: Options = {}
            for group in groups:
                options |= group(**{each: given.pop(each) for each in _names(group)})

            async def within(guilder: Guilder) -> ExitCode | None:
                call = Call(guilder, options, as_json)
                return await _show(await work(call, **given), call)

            dry = options.get("validate_only", False)
            key = None if dry else options.get("idempotency_key")
            run(ctx, within, as_json=as_json, key=key, max_attempts=max_attempts)

        _disguise(invoke, work, groups)
        app.command(name or work.__name__.strip("_").replace("_", "-"), epilog=EXIT_CODES)(invoke)
        return work

    return declare


def _names(group: Group) -> list[str]:
    return list(inspect.signature(group).parameters)


def _disguise(
    invoke: Callable[..., None], work: Callable[..., Any], groups: Sequence[Group]
) -> None:
    """Give ``invoke`` the signature that typer is to read, and the name and text of ``work``."""
    _call, *own = inspect.signature(work).parameters.values()
    shared = [each for group in groups for each in inspect.signature(group).parameters.values()]
    keyword = inspect.Parameter.KEYWORD_ONLY
    context = inspect.Parameter("ctx", keyword, annotation=typer.Context)
    last = inspect.Parameter("as_json", keyword, annotation=JsonOption, default=False)
    parameters = [each.replace(kind=keyword) for each in (context, *own, *shared, last)]
    invoke.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    invoke.__annotations__ = {each.name: each.annotation for each in parameters}
    invoke.__name__, invoke.__doc__ = work.__name__, work.__doc__


async def _show(result: Result, call: Call) -> ExitCode | None:
    match result:
        case Message():
            if call.as_json:
                print_json(as_dict(result))
            else:
                show_reply(result, dry_run=call.options.get("validate_only", False))
        case Listing(name=name, items=items, title=title):
            found = [item async for item in items] if isinstance(items, AsyncIterator) else items
            if call.as_json:
                print_json({name: [as_dict(item) for item in found]})
            else:
                show_items(found, title)
        case View(document=document, show=show, code=code):
            if call.as_json:
                print_json(document)
            else:
                show()
            return code
        case _:
            return result
    return None
