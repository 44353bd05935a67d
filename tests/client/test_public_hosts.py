"""Which hosts and addresses are on the public internet."""

from hypothesis import given, strategies as st
import pytest

from custom_components.bticino_classe.client import own_network
from custom_components.bticino_classe.client.pictures import resolve_host
from custom_components.bticino_classe.client.public_hosts import (
    is_public_address,
    is_public_name,
)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "20.60.1.2", "2606:2800:21f::1", "2603:1030::5", "2a01:111::1"]
)
def test_public_address(address: str) -> None:
    """Addresses of stores."""
    assert is_public_address(address)
    assert is_public_address(address, [own_network("192.168.1.2", 24), own_network("fd00::2", 64)])


@pytest.mark.parametrize(
    "address",
    [
        # this machine, the local network, the provider's network
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.31.255.255",
        "192.168.1.20",
        "169.254.169.254",
        "100.64.0.1",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "2606:2800:21f::1%eth0",
        "fd00::5",
        "fec0::1",
        # not one host
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "240.0.0.1",
        "ff02::1",
        "ff0e::1",
        # the router, for protocols
        "192.0.0.9",
        "192.88.99.1",
        "2001:1::1",
        # documentation, benchmarks, not assigned
        "192.0.2.1",
        "198.18.0.1",
        "2001:db8::1",
        "4000::1",
        "5f00::1",
        # an IPv4 address inside: mapped, compatible, NAT64, 6to4, Teredo, ISATAP
        "::ffff:192.168.1.1",
        "::ffff:8.8.8.8",
        "::192.168.1.1",
        "::8.8.8.8",
        "::ffff:0:192.168.1.1",
        "64:ff9b::192.168.1.1",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::192.168.1.1",
        "64:ff9b:1:fffe::1",
        "2002:c0a8:101::1",
        "2002:808:808::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2606:2800:21f::5efe:192.168.1.1",
        "2606:2800:21f::200:5efe:8.8.8.8",
    ],
)
def test_address_that_is_not_public(address: str) -> None:
    """Local, special, and those that contain another address."""
    assert not is_public_address(address)


@given(st.ip_addresses(v=4))
def test_ipv4_address_inside_an_ipv6_address(inside: object) -> None:
    """Whatever it is, the address around it is not public."""
    for before in ("::", "::ffff:", "64:ff9b::", "64:ff9b:1::"):
        assert not is_public_address(f"{before}{inside}")


@pytest.mark.parametrize(
    ("own", "prefix", "refused", "allowed"),
    [
        ("2a02:1234:5678:9a01::20", 64, "2a02:1234:5678:9a01::1", "2a02:1234:5679::1"),
        ("2a02:1234:5678:9a01::20", 128, "2a02:1234:5678:ffff::1", "2a02:1234:5677:ffff::1"),
        ("2a02:1234:5678:9a01::20%eth0", 64, "2a02:1234:5678::1", "2a02:1235:5678::1"),
        ("2a02:1234::20", 32, "2a02:1234:ffff::1", "2a02:1235::1"),
        ("93.184.215.14", 24, "93.184.215.1", "93.184.216.1"),
        ("93.184.215.14", 32, "93.184.215.14", "93.184.215.15"),
    ],
)
def test_own_network(own: str, prefix: int, refused: str, allowed: str) -> None:
    """A house has global IPv6 addresses, and more networks than that of its adapter."""
    networks = [own_network("192.168.1.2", 24), own_network(own, prefix)]
    assert is_public_address(refused)
    assert not is_public_address(refused, networks)
    assert is_public_address(allowed, networks)


@pytest.mark.parametrize(
    "host", ["store.blob.example", "STORE.Blob.Example.", "a_b.blob.example", "blob.xn--p1ai"]
)
def test_public_name(host: str) -> None:
    """Names as they are written."""
    assert is_public_name(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "localhost",
        "homeassistant",
        "router.",
        "a.localhost",
        "homeassistant.local",
        "nas.LAN.",
        "router.home.arpa",
        "1.168.192.in-addr.arpa",
        "router.internal",
        "nas.home",
        "server.corp",
        "nas.localdomain",
        "nas.private",
        "pc.intranet",
        "8.8.8.8",
        "127.1",
        "2130706433",
        "0x7f.1",
        "127.0.0.0x1",
        "::1",
        "fe80::1%25eth0.ab",
        "a..example",
        ".example",
        "a.example..",
    ],
)
def test_name_that_is_not_public(host: str) -> None:
    """Local names, single labels, addresses, and names that are none."""
    assert not is_public_name(host)


@pytest.mark.usefixtures("socket_enabled")
async def test_addresses_of_a_host() -> None:
    """As the system resolves it, each once."""
    found = await resolve_host("localhost")
    assert set(found) & {"127.0.0.1", "::1"}
    assert len(found) == len(set(found))
