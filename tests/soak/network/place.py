"""A home with Home Assistant, the cloud, and the line between them."""

import asyncio
from asyncio.subprocess import PIPE
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
import signal
import socket
import sys
from typing import TYPE_CHECKING, Final

import aiohttp

from dev.launcher import home_assistant_environment
from dev.options import Options
from dev.owner import Owner
from dev.server import Server
from dev.state import locked_config, owner_password
from tests.e2e.operating import Operator
from tests.simulator import paths
from tests.simulator.account import EMAIL, PASSWORD
from tests.simulator.certificates import make_certificate
from tests.soak.network.dns import NAME, Answers, NameServer
from tests.soak.network.line import CLOUD, PORTAL, Line
from tests.soak.network.namespace import DEVICE, ROOT, Namespace
from tests.soak.network.portal import Portal
from tests.soak.network.screen import Screen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    import random

PORT: Final = 8123
CLOUD_PORT: Final = 8124
DNS_PORT: Final = 53
CLOUD_IPV6: Final = "fd77::1"
HOME: Final = {4: "10.77.0.2/24", 6: "fd77::2/64"}
HOSTS: Final = f"127.0.0.1 localhost {NAME}\n{CLOUD} {NAME}\n{CLOUD_IPV6} {NAME}\n"
ADDRESSES: Final = {
    "SIMULATOR_URL": f"https://{NAME}:{CLOUD_PORT}",
    "SIMULATOR_PUSH_URL": f"wss://{NAME}:{CLOUD_PORT}{paths.PUSH}",
    "SIMULATOR_SIGNALING_URL": f"wss://{NAME}:{CLOUD_PORT}{paths.SIGNALING}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a case works with; `operator` and `screen` do not use the line."""

    line: Line
    names: NameServer
    portal: Portal
    operator: Operator
    owner: Owner
    screen: Screen
    state: Path

    def log(self) -> str:
        """All that Home Assistant wrote."""
        return (self.state / "home-assistant.log").read_text()


@asynccontextmanager
async def place(
    state: Path, draw: random.Random, *, versions: tuple[int, ...] = (4,)
) -> AsyncIterator[Place]:
    """Start everything over a good line, with the account set up; end it afterwards."""
    async with AsyncExitStack() as stack:
        home, cloud = (stack.enter_context(Namespace()) for _ in range(2))
        line = Line(home.open_tun(), cloud.open_tun(), draw)
        stack.callback(line.close)
        _configure(home, cloud, versions)
        names = await _name_server(stack, cloud, versions)
        certificate = _written(state / "cloud.pem", make_certificate(NAME).decode())
        portal = await _portal(stack, cloud, state)
        operator = await _simulator(stack, cloud, state, certificate)
        trusting = {**ADDRESSES, "REQUESTS_CA_BUNDLE": str(certificate)}
        owner, screen = await _home_assistant(stack, home, state, versions, trusting)
        yield Place(
            line=line,
            names=names,
            portal=portal,
            operator=operator,
            owner=owner,
            screen=screen,
            state=state,
        )


def _configure(home: Namespace, cloud: Namespace, versions: tuple[int, ...]) -> None:
    up = ("ip link set lo up", f"ip link set {DEVICE} up")
    cloud.run(
        *up,
        f"ip addr add {CLOUD}/24 dev {DEVICE}",
        f"ip addr add {PORTAL}/32 dev lo",
        f"ip addr add {CLOUD_IPV6}/64 dev {DEVICE} nodad",
    )
    home.run(*up)
    for version in versions:
        nodad = " nodad" if version == 6 else ""
        home.run(f"ip addr add {HOME[version]} dev {DEVICE}{nodad}")
        home.run(f"ip -{version} route add default dev {DEVICE}")


async def _name_server(
    stack: AsyncExitStack, cloud: Namespace, versions: tuple[int, ...]
) -> NameServer:
    addresses = {4: str(CLOUD), 6: CLOUD_IPV6}
    server = NameServer(Answers(addresses=tuple(addresses[version] for version in versions)))
    stack.callback(server.close)
    for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6)):
        bound = cloud.socket(family, socket.SOCK_DGRAM)
        bound.bind((addresses[version], DNS_PORT))
        await server.listen(bound)
    return server


async def _portal(stack: AsyncExitStack, cloud: Namespace, state: Path) -> Portal:
    bound = cloud.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.bind((str(PORTAL), CLOUD_PORT))
    portal = Portal(_written(state / "portal.pem", make_certificate("portal.test").decode()))
    await portal.listen(bound)
    stack.push_async_callback(portal.close)
    return portal


async def _simulator(
    stack: AsyncExitStack, cloud: Namespace, state: Path, certificate: Path
) -> Operator:
    """Start the simulator as a process of its own, and return its operator."""
    hosts = _written(state / "hosts", HOSTS)
    address = ("--host", NAME, "--port", str(CLOUD_PORT))
    arguments = ("-m", "tests.simulator", *address, "--certificate", str(certificate))
    process = await asyncio.create_subprocess_exec(
        *cloud.command({"hosts": hosts}), sys.executable, *arguments, cwd=ROOT, stdout=PIPE
    )
    stack.push_async_callback(_end, process)
    assert process.stdout is not None
    assert await process.stdout.readline()
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=_connector(cloud)))
    return Operator(session, f"https://127.0.0.1:{CLOUD_PORT}/operator/")


async def _home_assistant(
    stack: AsyncExitStack,
    home: Namespace,
    state: Path,
    versions: tuple[int, ...],
    variables: dict[str, str],
) -> tuple[Owner, Screen]:
    """Start Home Assistant with the account, and return its owner and what it shows."""
    server_address = CLOUD if 4 in versions else CLOUD_IPV6
    resolver = _written(state / "resolv.conf", f"nameserver {server_address}\n")
    options, url = Options(state=state, port=PORT), f"http://127.0.0.1:{PORT}/"
    config = stack.enter_context(locked_config(options))
    environment = {**home_assistant_environment(options, url), **variables}
    server = Server(config, options.log, environment, home.command({"resolv.conf": resolver}))
    stack.push_async_callback(_cancel, asyncio.create_task(server.keep_running()))
    owner = Owner(url, owner_password(config), connector=_connector(home))
    await stack.enter_async_context(owner)
    await owner.sign_in()
    await owner.wait_until_running()
    await owner.add_account(EMAIL, PASSWORD)
    screen = Screen(await stack.enter_async_context(owner.connected()))
    stack.push_async_callback(_cancel, asyncio.create_task(screen.follow()))
    await screen.start()
    return owner, screen


def _written(path: Path, text: str) -> Path:
    """Write a file, in a new folder if need be, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _connector(namespace: Namespace) -> aiohttp.TCPConnector:
    """Connect inside a namespace, where no certificate has to be verified."""

    def make(address: aiohttp.AddrInfoType) -> socket.socket:
        return namespace.socket(*address[:3])

    return aiohttp.TCPConnector(socket_factory=make, ssl=False)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    await process.communicate()
