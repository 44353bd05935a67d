"""What aiohttp would give to the client: answers and WebSockets that hold the fuzzer's input."""

import asyncio
from contextlib import asynccontextmanager
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from multidict import CIMultiDict
import orjson

from .checks import aside
from .seeds import TOKENS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOKEN_PATH = "/oauth2/token"


def encoded(value: object) -> bytes:
    """Return a text as it is, and any other value as JSON, valid or nearly."""
    with aside():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return shown.encode(errors="replace")


class AnsweringSession:
    """A client session whose requests all get one answer; tokens are good unless it is theirs."""

    closed = False

    def __init__(self, case: dict[str, Any], *, is_for_tokens: bool) -> None:
        status = case.get("status")
        self._status = status if isinstance(status, int) and 100 <= status < 600 else 200
        headers = case.get("headers")
        pairs = headers.items() if isinstance(headers, dict) else ()
        self._headers = CIMultiDict((key, value) for key, value in pairs if isinstance(value, str))
        self._raw = encoded(case.get("body"))
        self._is_for_tokens = is_for_tokens

    @asynccontextmanager
    async def post(
        self, url: str, *, data: Any, **_options: object
    ) -> AsyncIterator[SimpleNamespace]:
        """Send the body and provide the answer."""
        data.is_sent = True
        if url.endswith(TOKEN_PATH) and not self._is_for_tokens:
            yield _answer(200, CIMultiDict(), orjson.dumps(TOKENS))
        else:
            yield _answer(self._status, self._headers, self._raw)


def _answer(status: int, headers: CIMultiDict[str], raw: bytes) -> SimpleNamespace:
    async def chunks() -> AsyncIterator[bytes]:
        yield raw

    content = SimpleNamespace(iter_any=chunks)
    return SimpleNamespace(status=status, headers=headers, content=content)


class ScriptedSocket:
    """A WebSocket that replies to each frame of the client with the next frames of a script."""

    close_code = None

    def __init__(self, script: list[Any]) -> None:
        self._script = script
        self._incoming: asyncio.Queue[aiohttp.WSMessage] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def get_extra_info(self, _name: str) -> None:
        """Return that there is no socket of the operating system."""

    async def send_str(self, text: str) -> None:
        """Take a frame, and reply."""
        self.sent.append(json.loads(text))
        replies = self._script.pop(0) if self._script else []
        for reply in replies if isinstance(replies, list) else [replies]:
            kind = aiohttp.WSMsgType.TEXT
            self._incoming.put_nowait(aiohttp.WSMessage(kind, self._text(reply), None))

    async def receive(self) -> aiohttp.WSMessage:
        """Return the next frame."""
        return await self._incoming.get()

    def _text(self, reply: Any) -> str:
        if isinstance(reply, dict) and reply.get("correlation_id") == "echo":
            reply = {**reply, "correlation_id": self.sent[-1].get("correlation_id")}
        return encoded(reply).decode()
