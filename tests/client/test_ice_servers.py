"""ICE servers of the cloud: only what every browser accepts, on public hosts."""

from typing import Any

import pytest

from custom_components.bticino_classe.client import IceServer, decode

GOOD = "turn:turn.example:3478?transport=udp"
LOGIN = {"username": "1790003600:u", "credential": "c"}


def servers(*sent: object) -> tuple[IceServer, ...]:
    """Return the decoded servers of an answer."""
    found = decode.ice_servers({"iceServers": list(sent)})
    assert found is not None
    return found


def server(*urls: object, **fields: object) -> dict[str, Any]:
    """Return a server with credentials, as the cloud sends it."""
    return {"urls": list(urls), **LOGIN, **fields}


@pytest.mark.parametrize(
    "url",
    [
        GOOD,
        "turn:turn.example",
        "turn:turn.example:80?transport=tcp",
        "turns:turn.example:443?transport=tcp",
        "turns:turn.example",
        "stun:stun.example:3478",
        "stun:stun.example",
        "turn:8.8.8.8:3478",
        "turn:[2606:4700::1111]:3478",
        "turn:xn--bcher-kva.example",
    ],
)
def test_valid_link(url: str) -> None:
    """It is kept as it is, also if it is the only one and no list."""
    expected = (IceServer(urls=(url,), username="1790003600:u", credential="c"),)
    assert servers(server(url)) == expected
    assert servers({"urls": url, **LOGIN}) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://turn.example",
        "https://turn.example/",
        "stuns:stun.example",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "TURN:turn.example",
        "turn:",
        "turn://turn.example",
        "turn:user@turn.example",
        "turn:turn.example:0",
        "turn:turn.example:65536",
        "turn:turn.example:",
        "turn:turn.example?transport=sctp",
        "turn:turn.example?transport=udp&a=b",
        "turn:turn.example#a",
        "stun:stun.example?transport=udp",
        "turn:turn.example\r\nX: y",
        "turn:turn.example\n",
        " turn:turn.example",
        "turn:turn .example",
        "turn:türn.example",
        "turn:localhost",
        "turn:turn",
        "turn:nas.local:3478",
        "turn:router.lan",
        "turn:127.0.0.1",
        "turn:127.1",
        "turn:2130706433",
        "turn:10.0.0.1:3478",
        "turn:192.168.1.1",
        "turn:169.254.169.254",
        "turn:0.0.0.0",
        "turn:224.0.0.1",
        "turn:[::1]",
        "turn:[8.8.8.8]",
        "stun:[8.8.8.8]:3478",
        "turn:[fe80::1]",
        "turn:[fd00::1]",
        "turn:[::ffff:192.168.1.1]",
        "turn:[64:ff9b::c0a8:101]",
        "turn:::1",
        "turn:" + "a" * 300 + ".example",
        "",
        None,
        5,
        ["turn:turn.example"],
    ],
)
def test_invalid_link(url: object) -> None:
    """It is dropped; other links of the same server and other servers stay."""
    (expected,) = servers(server(GOOD))
    assert servers(server(url)) == ()
    assert servers({"urls": url if isinstance(url, str) else None, **LOGIN}) == ()
    assert servers(server(url, GOOD), server(url), server(GOOD, url)) == (expected, expected)


@pytest.mark.parametrize("broken", [None, "", 5, "a\r\nb", "a\x00", "\ud800", "x" * 600, "è" * 300])
@pytest.mark.parametrize("field", ["username", "credential"])
def test_turn_needs_credentials(field: str, broken: object) -> None:
    """Without them only STUN is left."""
    found = servers(server(GOOD, "stun:stun.example", **{field: broken}), server(GOOD))
    assert found[0] == IceServer(urls=("stun:stun.example",))
    assert found[1:] == servers(server(GOOD))
    assert servers(server(GOOD, **{field: broken})) == ()


@pytest.mark.parametrize("broken", [None, 5, "turn:turn.example", [], {}])
def test_invalid_server(broken: object) -> None:
    """The others stay."""
    assert servers(broken, server(GOOD), broken) == servers(server(GOOD))


@pytest.mark.parametrize(("count", "links"), [(8, 1), (50, 1), (5, 5), (1, 1000), (10_000, 3)])
def test_number_of_links(count: int, links: int) -> None:
    """At most eight: browsers do not use more."""
    urls = [f"turn:turn{n}.example" for n in range(links)]
    found = servers(*[server(*urls)] * count)
    assert sum(len(each.urls) for each in found) == 8


def test_invalid_servers_take_no_place() -> None:
    """Eight valid ones after some invalid ones are all taken."""
    assert len(servers(*[server("http:")] * 20, *[server(GOOD)] * 8)) == 8
