"""The state of the simulated cloud, and all controls that need no network."""

from collections import deque
import logging
import time
from typing import TYPE_CHECKING, Literal

from aiohttp import web

from tests.simulator.account import EMAIL, PASSWORD, TOKEN_LIFETIME, USER_ID, Account
from tests.simulator.doorbell import Doorbell
from tests.simulator.faults import Failure, Faults
from tests.simulator.houses import HOUSES, Factory, child_id, new_module
from tests.simulator.journal import Journal
from tests.simulator.rtc import Rtc

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.house import Bridge, Home, Module, Opening
    from tests.simulator.rtc_session import Session

_LOGGER = logging.getLogger(__name__)


class Cloud(Doorbell):
    """The account, its house and the faults in force."""

    house_name: str
    #: Usage limit as (requests, seconds); None: no limit.
    limit: tuple[int, float] | None = None
    #: Where setstate puts `errors[]`; both were observed.
    command_errors_at: Literal["body", "top"] = "body"
    #: Whether homestatus lists unreachable modules in `errors[]` only or as modules too.
    unreachable_shown: Literal["both", "errors"] = "both"
    #: Without a push socket, one observer saw commands refused with code 6 of the bridge.
    commands_without_push: Literal["run", "refused"] = "run"
    #: Whether `events`, `iceServers` and `errors` are where most observers saw them.
    lists_at: Literal["usual", "other"] = "usual"
    #: Whether `modules_bridged` has ids or objects with an id.
    bridged_as: Literal["ids", "objects"] = "ids"
    #: Error code for getconfigs and setconfigs; None: they work.
    configs_refused: int | None = None
    #: During an outage, HTTP status and whether the body is HTML; None: up.
    down: tuple[int, bool] | None = None
    #: Called when a request starts to wait for a response that never comes.
    on_hang: Callable[[], None] | None = None

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
        self.request_times: deque[float] = deque()
        #: Protocol violations of the client: unknown, missing or mistyped fields, wrong headers.
        self.violations: list[str] = []
        #: Set with every response, if any; no request may bring one back.
        self.cookie: str | None = None
        self.rtc = Rtc(self)
        self.use_house(house)

    @property
    def email(self) -> str:
        """The account's e-mail address."""
        return self.account.email

    @property
    def password(self) -> str:
        """The account's current password."""
        return self.account.password

    @property
    def user_id(self) -> str:
        """The account's id."""
        return self.account.user_id

    @property
    def openings(self) -> list[Opening]:
        """Every opening of every door, oldest first."""
        return self.house.openings()

    @property
    def lights(self) -> dict[str, bool]:
        """Whether each staircase light is on, by id."""
        now = self.clock()
        return {light.id: light.is_on(now) for light in self.house.lights()}

    def report_violation(self, text: str) -> None:
        """Record a protocol violation of the client."""
        _LOGGER.debug("Protocol violation: %s", text)
        self.violations.append(text)

    def use_house(self, house: str | Factory) -> None:
        """Switch to a new instance of a house; KeyError if its name is unknown."""
        factory = HOUSES[house] if isinstance(house, str) else house
        self.house_name = house if isinstance(house, str) else "own"
        self.house = factory(self.clock())
        self.calls.clear()
        self.rtc.reset()

    def expire_access_tokens(self) -> None:
        """Expire the access tokens: 403 code 3. Refresh tokens stay valid."""
        self.account.expire_access_tokens()

    def refuse_access_tokens(self) -> None:
        """Refuse the access tokens: 403 code 2. Refresh tokens stay valid."""
        self.account.refuse_access_tokens()

    def revoke(self) -> None:
        """Revoke every token."""
        self.account.revoke()

    def change_password(self, password: str) -> None:
        """Change the password and revoke every token."""
        self.account.password = password
        self.account.revoke()

    def retire_client(self) -> None:
        """Make the token endpoint refuse the app's OAuth client."""
        self.account.client_retired = True

    def restore_client(self) -> None:
        """Make the token endpoint accept the app's OAuth client again."""
        self.account.client_retired = False

    def unplug_bridge(self, bridge_id: str | None = None) -> None:
        """Cut the power of one bridge or of all; push `disconnection`."""
        for bridge in self.bridges(bridge_id):
            if bridge.reachable:
                bridge.unplug(self.clock())
                self.rtc.power_lost(bridge)
                self.report_presence(bridge, "disconnection")

    def plug_bridge(self, bridge_id: str | None = None) -> None:
        """Restore the power of one bridge or of all; push `connection`."""
        for bridge in self.bridges(bridge_id):
            if not bridge.reachable:
                bridge.plug(self.clock())
                self.report_presence(bridge, "connection")

    def end_view(self, session: Session) -> None:
        """Make the intercom terminate a session."""
        self.rtc.end_view(session)

    def device_error(self, session: Session, code: int, message: str | None = None) -> None:
        """Make the intercom terminate a session with an error."""
        self.rtc.device_error(session, code, message)

    def rescind(self, session: Session) -> None:
        """Send a `rescind` for a session: somebody else has answered."""
        self.rtc.rescind(session)

    def take_down(self, status: int = 503, *, html: bool = True) -> None:
        """Start an outage: every request fails, open sockets are dropped."""
        self.down = (status, html)
        self.drop_connections()

    def bring_up(self) -> None:
        """End the outage."""
        self.down = None

    def fail(self, path: str, failure: Failure, times: int = 1) -> None:
        """Queue a failure for the next requests of a path, or of any path (`*`)."""
        self.faults.add(path, failure, times)

    def clear_failures(self) -> None:
        """Drop all queued failures."""
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
        """Add a module to a home and bridge, by default the first ones, and return it."""
        home = self._home(home_id)
        bridges = home.bridges()
        if not bridge and not bridges:
            raise KeyError(f"bridge in {home.name}")
        bridge_id = bridge or bridges[0].id
        wanted = module_id or self._free_id(home, bridge_id)
        module = new_module(kind, module_id=wanted, bridge=bridge_id, name=name)
        home.modules[module.id] = module
        return module

    def remove_module(self, module_id: str) -> None:
        """Remove a module from its home; KeyError if there is none."""
        home = self.house.home_of(module_id)
        if home is None:
            raise KeyError(module_id)
        del home.modules[module_id]

    def bridges(self, bridge_id: str | None = None) -> list[Bridge]:
        """Return the bridge with this id, or all bridges; KeyError if there is none."""
        bridges = self.house.bridges()
        if bridge_id is None:
            return bridges
        chosen = [bridge for bridge in bridges if bridge.id == bridge_id]
        if not chosen:
            raise KeyError(bridge_id)
        return chosen

    def clear_journal(self) -> None:
        """Clear the journal and the violations."""
        self.journal.clear()
        self.violations.clear()

    def _home(self, home_id: str | None) -> Home:
        wanted = [home for home in self.house.homes if home_id in (None, home.id)]
        if not wanted:
            raise KeyError(home_id or "home")
        return wanted[0]

    def _free_id(self, home: Home, bridge_id: str) -> str:
        number = 1
        while child_id(bridge_id, number) in home.modules:
            number += 1
        return child_id(bridge_id, number)


CLOUD = web.AppKey("cloud", Cloud)
