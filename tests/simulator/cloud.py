"""All state of the simulated cloud, and every control over it that needs no network."""

from collections import deque
import logging
import time
from typing import TYPE_CHECKING, Literal

from aiohttp import web

from tests.simulator.account import EMAIL, PASSWORD, TOKEN_LIFETIME, USER_ID, Account
from tests.simulator.bell import Bell
from tests.simulator.faults import Failure, Faults
from tests.simulator.houses import HOUSES, Factory, child_id, new_module
from tests.simulator.journal import Journal
from tests.simulator.rtc import Rtc

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.house import Bridge, Home, Module, Opening
    from tests.simulator.rtc_session import Session

_LOGGER = logging.getLogger(__name__)


class Cloud(Bell):
    """The account, the house behind it, and what is wrong at the moment."""

    house_name: str
    #: (requests, seconds) that the API allows; None: no limit.
    limit: tuple[int, float] | None = None
    #: Where `errors[]` of setstate sits; both are reported.
    command_errors_at: Literal["body", "top"] = "body"
    #: Whether homestatus names what is unreachable in `errors[]` alone, or as a module too.
    unreachable_shown: Literal["both", "errors"] = "both"
    #: The error code of every getconfigs and setconfigs; None: they are answered.
    configs_refused: int | None = None
    #: Status and whether the page is HTML; None: up.
    down: tuple[int, bool] | None = None

    def __init__(
        self,
        house: str | Factory = "classe_300x",
        *,
        email: str = EMAIL,
        password: str = PASSWORD,
        user_id: str = USER_ID,
        token_lifetime: float | None = TOKEN_LIFETIME,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(clock)
        self.account = Account(
            clock=clock,
            email=email,
            password=password,
            user_id=user_id,
            token_lifetime=token_lifetime,
        )
        self.faults = Faults()
        self.journal = Journal()
        self.served: deque[float] = deque()
        #: Every fault of the client's: unknown, missing, badly typed fields, wrong headers.
        self.violations: list[str] = []
        self.rtc = Rtc(self)
        self.use_house(house)

    @property
    def email(self) -> str:
        """The account's e-mail address."""
        return self.account.email

    @property
    def password(self) -> str:
        """The account's password of this moment."""
        return self.account.password

    @property
    def user_id(self) -> str:
        """The account's id."""
        return self.account.user_id

    @property
    def openings(self) -> list[Opening]:
        """Each time that a door's relay really moved, oldest first."""
        return self.house.openings()

    @property
    def lights(self) -> dict[str, bool]:
        """Which staircase lights shine."""
        now = self.clock()
        return {light.id: light.is_on(now) for light in self.house.lights()}

    def report_violation(self, text: str) -> None:
        """Write down a fault of the client's."""
        _LOGGER.debug("The client is at fault: %s", text)
        self.violations.append(text)

    def use_house(self, house: str | Factory) -> None:
        """Move into another house, as new; KeyError if its name is unknown."""
        factory = HOUSES[house] if isinstance(house, str) else house
        self.house_name = house if isinstance(house, str) else "own"
        self.house = factory(self.clock())
        self.calls.clear()
        self.rtc.forget()

    def expire_access_tokens(self) -> None:
        """Let the access tokens run out: 403 code 3. Refresh tokens live on."""
        self.account.expire_access_tokens()

    def refuse_access_tokens(self) -> None:
        """Call the access tokens invalid: 403 code 2. Refresh tokens live on."""
        self.account.refuse_access_tokens()

    def revoke(self) -> None:
        """Kill every token."""
        self.account.revoke()

    def change_password(self, password: str) -> None:
        """Set another password, which signs everybody out."""
        self.account.password = password
        self.account.revoke()

    def retire_client(self) -> None:
        """Let the token endpoint know the app's client no longer."""
        self.account.client_retired = True

    def restore_client(self) -> None:
        """Let the token endpoint know the app's client again."""
        self.account.client_retired = False

    def unplug_bridge(self, bridge_id: str | None = None) -> None:
        """Take the power from one bridge, or from all; the cloud says that it went."""
        for bridge in self.bridges(bridge_id):
            if bridge.reachable:
                bridge.unplug(self.clock())
                self.rtc.power_lost(bridge)
                self.presence(bridge, "disconnection")

    def plug_bridge(self, bridge_id: str | None = None) -> None:
        """Give the power back to one bridge, or to all; the cloud says that it came."""
        for bridge in self.bridges(bridge_id):
            if not bridge.reachable:
                bridge.plug(self.clock())
                self.presence(bridge, "connection")

    def end_view(self, session: Session) -> None:
        """Let the intercom end a call of a client's, with a word on its connection."""
        self.rtc.end_view(session)

    def device_error(self, session: Session, code: int, message: str | None = None) -> None:
        """Let the intercom end a call of a client's with an error."""
        self.rtc.device_error(session, code, message)

    def rescind(self, session: Session) -> None:
        """Say on a call's connection that somebody else has answered."""
        self.rtc.rescind(session)

    def take_down(self, status: int = 503, *, html: bool = True) -> None:
        """Answer everything with an outage, and cut the open sockets."""
        self.down = (status, html)
        self.drop_connections()

    def bring_up(self) -> None:
        """End the outage."""
        self.down = None

    def fail(self, path: str, failure: Failure, times: int = 1) -> None:
        """Let the next requests of a path, or of any (`*`), meet a failure; used up in order."""
        self.faults.add(path, failure, times)

    def clear_failures(self) -> None:
        """Forget the failures that still wait."""
        self.faults.clear()

    def add_module(
        self,
        home_id: str | None = None,
        *,
        kind: str = "BNDL",
        module_id: str | None = None,
        name: str | None = "Nuova porta",
        bridge: str | None = None,
    ) -> Module:
        """Build a module into a home (the first), behind a bridge (its first), and return it."""
        home = self._home(home_id)
        bridges = home.bridges()
        if not bridge and not bridges:
            raise KeyError(f"a bridge in {home.name}")
        behind = bridge or bridges[0].id
        wanted = module_id or self._free_id(home, behind)
        module = new_module(kind, module_id=wanted, bridge=behind, name=name)
        home.modules[module.id] = module
        return module

    def remove_module(self, module_id: str) -> None:
        """Take a module out of its home; KeyError if there is none."""
        home = self.house.home_of(module_id)
        if home is None:
            raise KeyError(module_id)
        del home.modules[module_id]

    def bridges(self, bridge_id: str | None = None) -> list[Bridge]:
        """Return the intercom of that id, or all; KeyError if there is none."""
        bridges = self.house.bridges()
        if bridge_id is None:
            return bridges
        chosen = [bridge for bridge in bridges if bridge.id == bridge_id]
        if not chosen:
            raise KeyError(bridge_id)
        return chosen

    def clear_journal(self) -> None:
        """Forget the journal and the notes."""
        self.journal.clear()
        self.violations.clear()

    def _home(self, home_id: str | None) -> Home:
        wanted = [home for home in self.house.homes if home_id in (None, home.id)]
        if not wanted:
            raise KeyError(home_id or "a home")
        return wanted[0]

    def _free_id(self, home: Home, bridge_id: str) -> str:
        number = 1
        while child_id(bridge_id, number) in home.modules:
            number += 1
        return child_id(bridge_id, number)


CLOUD = web.AppKey("cloud", Cloud)
