"""The simulator as an HTTP server."""

import asyncio
import ssl
from typing import TYPE_CHECKING

from aiohttp import web

from dev.local_requests import local_requests
from tests.simulator import api, blobs, configs, oauth, operator_api, paths, sockets
from tests.simulator.cloud import CLOUD, Cloud
from tests.simulator.middleware import STOPPING, cloud_middleware, set_cookie

if TYPE_CHECKING:
    from pathlib import Path

#: Seconds for pending requests when the simulator stops; hanging ones are dropped before.
SHUTDOWN_SECONDS = 0.2


class Simulator(Cloud):
    """The vendor's cloud with an intercom, and the operator interface."""

    _runner: web.AppRunner | None = None
    _tls: ssl.SSLContext | None = None

    def use_certificate(self, path: Path) -> None:
        """Use a PEM file with a key and its certificate for new connections.

        Before the start, this chooses https and wss; links to pictures are followed only over http.
        """
        if self._tls is None:
            self._tls, self.scheme = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), "https"
        self._tls.load_cert_chain(path)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Start listening; port 0 picks a free port. OSError: the port is in use."""
        runner = web.AppRunner(self._app(host), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        site = web.TCPSite(runner, host, port, ssl_context=self._tls)
        try:
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner, self.host, self.port = runner, host, runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and drop pending requests; the state is kept for another `start`."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        runner.app[STOPPING].set()
        await self.rtc.close()
        self.drop_connections()
        await runner.cleanup()

    @property
    def push_url(self) -> str:
        """The address of the push socket."""
        return f"{self._socket_url}{paths.PUSH}"

    @property
    def signaling_url(self) -> str:
        """The address of the signaling socket."""
        return f"{self._socket_url}{paths.SIGNALING}"

    @property
    def _socket_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    def _app(self, host: str) -> web.Application:
        app = web.Application(middlewares=[local_requests(host), cloud_middleware])
        app[CLOUD], app[STOPPING] = self, asyncio.Event()
        app.on_response_prepare.append(set_cookie)
        app.router.add_post(paths.TOKEN, oauth.token)
        app.router.add_post(paths.HOMESDATA, api.homesdata)
        app.router.add_post(paths.HOMESTATUS, api.homestatus)
        app.router.add_post(paths.SETSTATE, api.setstate)
        app.router.add_post(paths.GETCONFIGS, configs.getconfigs)
        app.router.add_post(paths.SETCONFIGS, configs.setconfigs)
        app.router.add_post(paths.GETEVENTS, api.getevents)
        app.router.add_post(paths.TURN, api.turn)
        app.router.add_get(paths.PUSH, sockets.socket)
        app.router.add_get(paths.SIGNALING, sockets.socket)
        app.router.add_get(paths.BLOB + "{id}", blobs.blob)
        _add_operator(app)
        return app


def _add_operator(app: web.Application) -> None:
    app.router.add_get("/operator/", operator_api.page)
    app.router.add_get("/operator", operator_api.redirect)
    app.router.add_get("/", operator_api.redirect)
    for name in operator_api.SCRIPTS:
        app.router.add_get(f"/operator/{name}", operator_api.script)
    app.router.add_get("/operator/state", operator_api.state)
    app.router.add_get("/operator/journal", operator_api.journal)
    app.router.add_post("/operator/{action}", operator_api.action)
