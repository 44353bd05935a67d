"""The web server of a captive portal, which answers every request with its own page."""

from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    import socket

LOGIN: Final = "http://login.portal.test/"
PAGE: Final = "<!doctype html><html><body><h1>Welcome</h1><p>Accept our terms.</p></body></html>"


class Portal:
    """Answers every request with its page, or with a redirect to it."""

    redirects = True
    requests = 0

    async def listen(self, bound: socket.socket) -> None:
        """Answer on a bound socket."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.SockSite(self._runner, bound).start()

    async def close(self) -> None:
        """Stop."""
        await self._runner.cleanup()

    async def _answer(self, _: web.Request) -> web.Response:
        self.requests += 1
        if self.redirects:
            return web.Response(status=302, headers={"Location": LOGIN})
        return web.Response(text=PAGE, content_type="text/html")
