"""Starts both servers, prints how to reach them, and stops both on a signal."""

import asyncio
from contextlib import suppress
import signal
import socket
import sys
from typing import TYPE_CHECKING, Final

import aiohttp

from .cloud import HOST, addresses, simulated_cloud
from .errors import DevelopError
from .go2rtc import running_go2rtc
from .options import Options, parse
from .owner import USER, Owner
from .server import Server
from .state import locked_config, owner_password

if TYPE_CHECKING:
    from tests.simulator import Simulator

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def launch(arguments: list[str]) -> int:
    """Run until a signal; return 0, or 1 after printing an error."""
    code = 0
    try:
        asyncio.run(_serve(parse(arguments)))
    except* DevelopError as group:
        code = 1
        for error in group.exceptions:
            print(f"develop: {error}", file=sys.stderr)
    return code


async def _serve(options: Options) -> None:
    running = asyncio.ensure_future(_run(options))
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, running.cancel)
    with suppress(asyncio.CancelledError):
        await running


async def _run(options: Options) -> None:
    _check_ports(options)
    url = f"http://{HOST}:{options.port}/"
    with locked_config(options) as config:
        async with (
            simulated_cloud(options) as cloud,
            running_go2rtc(options.go2rtc) as go2rtc,
            asyncio.TaskGroup() as tasks,
        ):
            print(f"develop: starting Home Assistant; its log is {options.log}", file=sys.stderr)
            environment = {**_home_assistant(options, url), **addresses(cloud), **go2rtc}
            tasks.create_task(Server(config, options.log, environment).keep_running())
            await _announce(Owner(url, owner_password(config), options.language), options, cloud)


def _home_assistant(options: Options, url: str) -> dict[str, str]:
    """The other environment variables that dev/configuration.yaml uses."""
    return {
        "HOME_ASSISTANT_URL": url,
        "HOME_ASSISTANT_LANGUAGE": options.language,
        "HOME_ASSISTANT_DASHBOARD": f"dashboards/{options.language}.yaml",
    }


async def _announce(owner: Owner, options: Options, cloud: Simulator) -> None:
    try:
        stream = await _prepare_account(owner, options, cloud)
    except (aiohttp.ClientError, TimeoutError) as err:
        raise DevelopError(
            f"Home Assistant did not start ({err!r}); its log is {options.log}."
        ) from err
    print(
        f"Home Assistant: {owner.url} (user {USER}, password {owner.password}) | "
        f"BTicino account: {cloud.email}, password {cloud.password} | "
        f"operator page: {cloud.url}/operator/ | {stream}Ctrl-C ends both",
        flush=True,
    )


async def _prepare_account(owner: Owner, options: Options, cloud: Simulator) -> str:
    """Set up the account if wanted; return the part of the line about its stream address."""
    async with owner:
        await owner.sign_in()
        await owner.wait_until_running()
        if options.configured:
            await owner.add_account(cloud.email, cloud.password)
        return await _stream_address(owner)


async def _stream_address(owner: Owner) -> str:
    try:
        address = await owner.stream_address()
    except DevelopError as err:
        # After a change of the house, its camera may be about to go.
        print(f"develop: no stream address: {err}", file=sys.stderr)
        return ""
    return "" if address is None else f"stream address: {address} | "


def _check_ports(options: Options) -> None:
    ports = {"--port": options.port, "--simulator-port": options.simulator_port}
    if options.port == options.simulator_port:
        raise DevelopError("--port and --simulator-port must differ.")
    for option, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError, OverflowError:
                raise DevelopError(
                    f"port {port} is in use or not allowed: choose another with {option}."
                ) from None
