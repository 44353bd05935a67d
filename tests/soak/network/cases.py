"""The bad networks, and what may be expected in each."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from tests.soak.network.dns import Answers
from tests.soak.network.line import GOOD, Conditions


class Existing(Enum):
    """What happens to the connections that exist when the network turns bad."""

    KEPT = "kept"
    CUT = "cut"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A bad network; times are in seconds.

    `is_usable`: rings arrive and doors open in spite of it, after `idle` seconds without a packet.
    `is_cut_off`: nothing can be expected until it is mended. With neither, the connection is lost
    and comes back by itself. `lasts`: it is mended after this time, even if nobody has noticed it.
    `versions`: those of IP that the home has.
    """

    name: str
    title: str
    conditions: Conditions = GOOD
    answers: Answers | None = None
    existing: Existing = Existing.KEPT
    versions: tuple[int, ...] = (4,)
    is_usable: bool = False
    is_cut_off: bool = False
    lasts: float | None = None
    idle: float = 0.0
    portal_has_certificate: bool = False


BLACK_HOLE: Final = "10.66.6.6"  # the cloud's end of the line does not forward
CASES: Final = (
    Case(
        name="loss",
        title="20 % of all packets are lost",
        conditions=Conditions(loss=0.2),
        is_usable=True,
    ),
    Case(
        name="delay",
        title="2 s delay (1 s each way)",
        conditions=Conditions(delay=1.0),
        is_usable=True,
    ),
    Case(
        name="long-delay",
        title="4 s delay (2 s each way)",
        conditions=Conditions(delay=2.0),
        is_usable=True,
    ),
    Case(
        name="reordering",
        title="Reordering: each packet 0 to 0.5 s late",
        conditions=Conditions(jitter=0.5),
        is_usable=True,
    ),
    Case(
        name="slow",
        title="32 kbit/s, shared by all connections",
        conditions=Conditions(rate=4000.0),
        is_usable=True,
    ),
    Case(
        name="short-outage",
        title="Nothing passes for 20 s",
        conditions=Conditions(drops_to_cloud=True, drops_to_home=True),
        is_cut_off=True,
        lasts=20.0,
    ),
    Case(
        name="half-open",
        title="Half open: nothing passes, nothing is closed",
        conditions=Conditions(drops_to_cloud=True, drops_to_home=True),
        is_cut_off=True,
    ),
    Case(
        name="deaf",
        title="Half open: nothing comes back from the cloud",
        conditions=Conditions(drops_to_home=True),
        is_cut_off=True,
    ),
    Case(
        name="mute",
        title="Half open: nothing reaches the cloud",
        conditions=Conditions(drops_to_cloud=True),
        is_cut_off=True,
    ),
    Case(
        name="router-restart",
        title="A router restarts: old connections are dead, new ones work",
        existing=Existing.FORGOTTEN,
    ),
    Case(
        name="nat-60",
        title="NAT that forgets after 60 s",
        conditions=Conditions(nat_timeout=60.0),
        is_usable=True,
        idle=75.0,
    ),
    Case(
        name="nat-20",
        title="NAT that forgets after 20 s",
        conditions=Conditions(nat_timeout=20.0),
        idle=25.0,
    ),
    Case(
        name="dns-late",
        title="DNS answers after 0.3 s; connections cut",
        answers=Answers(delay=0.3),
        existing=Existing.CUT,
    ),
    # Home Assistant's resolver waits for a second or two, less if answers were fast before.
    Case(
        name="dns-too-late",
        title="DNS answers after 4 s; connections cut",
        answers=Answers(delay=4.0),
        existing=Existing.CUT,
        is_cut_off=True,
    ),
    Case(
        name="dns-wrong",
        title="DNS gives a wrong address; connections cut",
        answers=Answers(addresses=(BLACK_HOLE,)),
        existing=Existing.CUT,
        is_cut_off=True,
    ),
    Case(
        name="dns-no-name",
        title="DNS says that the name does not exist; connections cut",
        answers=Answers(addresses=None),
        existing=Existing.CUT,
        is_cut_off=True,
    ),
    Case(
        name="dns-never",
        title="DNS never answers; connections cut",
        answers=Answers(is_silent=True),
        existing=Existing.CUT,
        is_cut_off=True,
    ),
    Case(
        name="ipv6",
        title="IPv6 only",
        versions=(6,),
        is_usable=True,
    ),
    Case(
        name="dead-ipv6",
        title="IPv6 is announced but leads nowhere; connections cut",
        conditions=Conditions(drops_ipv6=True),
        existing=Existing.CUT,
        versions=(4, 6),
    ),
    Case(
        name="mtu",
        title="MTU 1280; connections cut",
        conditions=Conditions(mtu=1280),
        existing=Existing.CUT,
    ),
    Case(
        name="mtu-black-hole",
        title="MTU 1280 without ICMP: long packets vanish",
        conditions=Conditions(mtu=1280, reports_mtu=False),
        is_cut_off=True,
        lasts=60.0,
    ),
    Case(
        name="portal-certificate",
        title="Captive portal with a certificate of its own",
        conditions=Conditions(captive=True),
        is_cut_off=True,
        portal_has_certificate=True,
    ),
    Case(
        name="portal-plain",
        title="Captive portal that answers without TLS",
        conditions=Conditions(captive=True),
        is_cut_off=True,
    ),
)
