"""Names that several files of the integration share."""

import logging
from typing import TYPE_CHECKING, Final

from homeassistant.util.hass_dict import HassKey

if TYPE_CHECKING:
    from .client import RateLimiter

DOMAIN: Final = "bticino_classe"
LOGGER: Final = logging.getLogger(__package__)
MANUFACTURER: Final = "BTicino"

# Requests are counted over reloads, by entry.
RATE_LIMITERS: Final[HassKey[dict[str, RateLimiter]]] = HassKey(f"{DOMAIN}_rate_limiters")

CONF_KEEP_PASSWORD: Final = "keep_password"  # noqa: S105 - of the form; not stored
CONF_EXCLUDED_HOMES: Final = "excluded_homes"
CONF_PULSE_TIME: Final = "pulse_time"
CONF_LIGHTS_AS_DOORS: Final = "lights_as_doors"
CONF_GATES: Final = "gates"
CONF_LIGHT_TIMER: Final = "light_timer"
CONF_DOOR_CODES: Final = "door_codes"  # by door
CONF_DOORS_WITH_CODE: Final = "doors_with_code"  # in the form; only the codes are stored
CONF_GO2RTC_CAMERAS: Final = "go2rtc_cameras"  # modules
CONF_SIMULATED_RINGS: Final = "simulated_rings"
CONF_HISTORY: Final = "history"
CONF_KEEP: Final = "keep"
CONF_HOMES_LEFT_OUT: Final = "homes_left_out"  # in the data of the entry: at the last start
CONF_HOMES_SINCE: Final = "homes_since"  # in the data: when homes were included again
CONF_HISTORY_OFF: Final = "history_off"  # in the data of the entry: calls were not kept
CONF_DELETED_UNTIL: Final = "deleted_until"  # in the data: when all calls were deleted last
CONF_STREAM_SECRETS: Final = "stream_secrets"  # in the data of the entry, by module
CONF_STREAMS: Final = "streams"
CONF_SHOWN_RINGS: Final = "shown_rings"  # by camera
CONF_VIEW_SECONDS: Final = "view_seconds"
CONF_PAUSE_SECONDS: Final = "pause_seconds"
CONF_VIEWS_PER_HOUR: Final = "views_per_hour"
CONF_DAYS: Final = "days"
CONF_CALLS: Final = "calls"
CONF_MEGABYTES: Final = "megabytes"
DEFAULT_PULSE_TIME: Final = 5  # seconds
DEFAULT_LIGHT_TIMER: Final = 0  # seconds; 0: on until switched off
DEFAULT_VIEW_SECONDS: Final = 60
DEFAULT_PAUSE_SECONDS: Final = 10
DEFAULT_VIEWS_PER_HOUR: Final = 30
# Programs leave at least half of every hour to the app, whatever the options are.
MAX_STREAM_MINUTES_PER_HOUR: Final = 30
CODE_FORMAT: Final = "^[0-9]{4,10}$"
DEFAULT_DAYS: Final = 90
DEFAULT_CALLS: Final = 2000
DEFAULT_MEGABYTES: Final = 250
