"""Which hosts are on the public internet: by name, and by the addresses they resolve to."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

type IPAddress = IPv4Address | IPv6Address
type IPNetwork = IPv4Network | IPv6Network

# Top-level names of local networks (RFC 6762, RFC 8375, and custom).
_LOCAL_NAMES: Final = frozenset(
    {
        "arpa",
        "corp",
        "home",
        "internal",
        "intranet",
        "lan",
        "local",
        "localdomain",
        "localhost",
        "private",
    }
)
# Global unicast. IPv4-mapped and -compatible addresses, NAT64, site-local and multicast addresses
# are outside.
_IPV6_UNICAST: Final = IPv6Network("2000::/3")
_NOT_PUBLIC: Final = (
    IPv4Network("192.0.0.0/24"),  # protocols with the router (RFC 7723)
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv6Network("2001::/23"),  # Teredo, and protocols with the router
    IPv6Network("2002::/16"),  # 6to4
)
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})  # before an IPv4 address (RFC 5214)
# An internet provider assigns a house up to this much, of which an adapter is in a small part.
_HOUSE_PREFIX: Final = 48


def is_public_name(host: str) -> bool:
    """Return whether a host is a public name: no IP address and no local name."""
    *parts, last = host.removesuffix(".").lower().split(".")
    if not parts or not all(parts) or ":" in host or last in _LOCAL_NAMES:
        return False
    return last.isalpha() or last.startswith("xn--")


def own_network(address: str, prefix: int) -> IPNetwork:
    """Return the network around an address of this machine."""
    network = ip_network((address.partition("%")[0], prefix), strict=False)
    is_ipv6 = isinstance(network, IPv6Network)
    if is_ipv6 and network.is_global and prefix > _HOUSE_PREFIX:
        return network.supernet(new_prefix=_HOUSE_PREFIX)
    return network


def is_public_address(text: str, own_networks: Iterable[IPNetwork] = ()) -> bool:
    """Return whether an IP address is on the public internet, outside the own networks.

    Addresses that contain an IPv4 address are not public: they lead to that address.
    """
    address = ip_address(text)
    if isinstance(address, IPv6Address) and not _is_plain_unicast(address):
        return False
    if address.is_multicast or not address.is_global:
        return False
    return not any(address in network for network in (*_NOT_PUBLIC, *own_networks))


def _is_plain_unicast(address: IPv6Address) -> bool:
    is_isatap = int(address) >> 32 & 0xFFFFFFFF in _ISATAP
    return address in _IPV6_UNICAST and address.scope_id is None and not is_isatap
