"""Client of the cloud behind BTicino Classe intercoms; asyncio and aiohttp, nothing else.

The caller brings a session, stored tokens and a callback that saves new ones. Nothing here waits
for, logs to or imports its host. docs/client.md is the reference.
"""

from .account import Account
from .auth import AuthHandler
from .budget import Budget
from .const import PRODUCTION, Endpoints
from .exceptions import (
    AnsweredElsewhereError,
    ApiError,
    AppClientRefusedError,
    AuthApiError,
    AuthConnectionError,
    AuthError,
    AuthRateLimitError,
    AuthServerError,
    BticinoError,
    CallError,
    CallOverError,
    CommandRefusedError,
    ForbiddenError,
    InvalidCredentialsError,
    InvalidRequestError,
    LineBusyError,
    NoAnswerError,
    NotFoundError,
    OfferTooLargeError,
    OutcomeUnknownError,
    RateLimitError,
    ServerError,
    TokenRefusedError,
    UnexpectedAnswerError,
    UnreachableError,
)
from .models import (
    Event,
    Home,
    IceServer,
    Module,
    ModuleKind,
    ModuleState,
    Picture,
    Topology,
)

__all__ = [
    "PRODUCTION",
    "Account",
    "AnsweredElsewhereError",
    "ApiError",
    "AppClientRefusedError",
    "AuthApiError",
    "AuthConnectionError",
    "AuthError",
    "AuthHandler",
    "AuthRateLimitError",
    "AuthServerError",
    "BticinoError",
    "Budget",
    "CallError",
    "CallOverError",
    "CommandRefusedError",
    "Endpoints",
    "Event",
    "ForbiddenError",
    "Home",
    "IceServer",
    "InvalidCredentialsError",
    "InvalidRequestError",
    "LineBusyError",
    "Module",
    "ModuleKind",
    "ModuleState",
    "NoAnswerError",
    "NotFoundError",
    "OfferTooLargeError",
    "OutcomeUnknownError",
    "Picture",
    "RateLimitError",
    "ServerError",
    "TokenRefusedError",
    "Topology",
    "UnexpectedAnswerError",
    "UnreachableError",
]
