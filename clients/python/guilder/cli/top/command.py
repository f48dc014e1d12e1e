"""The command `guilder top`: a frame each second, drawn over the last; or one, and done."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Annotated

import typer

from guilder.cli.options import JsonOption
from guilder.cli.render import console, print_json, print_json_line
from guilder.cli.session import ExitCode, Session

PORTS = {"wallet": 9101, "ledger": 9102, "notify": 9103, "edge": 9104, "relay": 9105}
"""Of the local suite's metrics."""
WINDOW_FRAMES = 5
"""Rates and quantiles are of the last so many frames: of one second alone they would jump."""


def _option(service: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        f"--{service}-metrics",
        envvar=f"GUILDER_{service.upper()}_METRICS_ADDRESS",
        metavar="HOST:PORT,…",
        help=f"Where each process of {service} answers Prometheus.",
    )
    return option


def top(  # noqa: PLR0913  # an address for each service
    ctx: typer.Context,
    *,
    once: Annotated[bool, typer.Option("--once", help="Show one frame, and leave.")] = False,
    interval: Annotated[
        float, typer.Option(min=0.2, max=60, metavar="SECONDS", help="Between two frames.")
    ] = 1.0,
    wallet: Annotated[str, _option("wallet")] = f"localhost:{PORTS['wallet']}",
    ledger: Annotated[str, _option("ledger")] = f"localhost:{PORTS['ledger']}",
    notify: Annotated[str, _option("notify")] = f"localhost:{PORTS['notify']}",
    edge: Annotated[str, _option("edge")] = f"localhost:{PORTS['edge']}",
    relay: Annotated[str, _option("relay")] = f"localhost:{PORTS['relay']}",
    as_json: JsonOption = False,
) -> None:
    """Watch shards, streams, slow calls and declines live, from the services' metrics.

    Without a terminal it shows one frame. With --json a line each, with --once a document.
    """
    session = ctx.find_object(Session)
    assert session is not None
    given = {"wallet": wallet, "ledger": ledger, "notify": notify, "edge": edge, "relay": relay}
    metrics = {service: _addresses(service, text) for service, text in given.items()}
    try:
        asyncio.run(_watch(session, metrics, interval, once=once, as_json=as_json))
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED if once else ExitCode.OK) from None


def _addresses(service: str, text: str) -> list[str]:
    """Read ``host:port,host:port``; an empty text is a service that is not watched."""
    found = [one.strip() for one in text.split(",") if one.strip()]
    for one in found:
        host, _, port = one.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004  # the last port
            message = f"{one!r}: must be host:port"
            raise typer.BadParameter(message, param_hint=f"'--{service}-metrics'")
    return found


async def _watch(
    session: Session,
    metrics: Mapping[str, Sequence[str]],
    interval_s: float,
    *,
    once: bool,
    as_json: bool,
) -> None:
    # What it needs no other command does.
    from rich.live import Live  # noqa: PLC0415

    from guilder.cli.reach import dialler  # noqa: PLC0415
    from guilder.cli.top.scraping import Scraper  # noqa: PLC0415
    from guilder.cli.top.show import draw  # noqa: PLC0415
    from guilder.cli.top.view import view  # noqa: PLC0415

    out = console()
    dial, addresses = dialler(session), asdict(session.addresses)
    async with AsyncExitStack() as stack:
        channels = {
            name: dial(addresses[name])
            for name, asked in metrics.items()
            if asked and name in addresses
        }
        for channel in channels.values():
            stack.push_async_callback(channel.close)
        scraper = Scraper(metrics, channels)
        frames = [await scraper.frame()]
        live = None
        if not once and not as_json and out.is_terminal:
            live = stack.enter_context(Live(console=out, screen=True, auto_refresh=False))
            live.update(draw(view(None, frames[0])), refresh=True)
        while True:
            await asyncio.sleep(interval_s)
            frames = [*frames[-WINDOW_FRAMES:], await scraper.frame()]
            shown = view(frames[0], frames[-1])
            if live is not None:
                live.update(draw(shown), refresh=True)
            elif as_json and once:
                print_json(asdict(shown))
            elif as_json:
                print_json_line(asdict(shown))
            else:
                out.print(draw(shown))
            if once or (live is None and not as_json):
                return
