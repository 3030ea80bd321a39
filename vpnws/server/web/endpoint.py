"""Tells control requests from stations, by what the web server says of a location."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws import __version__
from vpnws.control.about import About
from vpnws.control.app import ControlApp
from vpnws.control.under_way import max_requests
from vpnws.errors import RightsError
from vpnws.server.web.caller import WebCaller
from vpnws.server.web.identity import read_identity, text_of
from vpnws.server.web.variables import ENDPOINT, check_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpnws.control.app import StartResponse
    from vpnws.server.start import Server
    from vpnws.server.web.identity import Environ

CONTROL: Final = "control"


def is_control(environ: Environ) -> bool:
    """Return whether a request came to the control location.

    Only a uwsgi var says so, which no client can set. Raises RightsError if it says anything else.
    """
    if ENDPOINT not in environ:
        return False
    told = text_of(environ, ENDPOINT)
    if told != CONTROL:
        raise RightsError(f"{ENDPOINT} = {told!r} is not {CONTROL}")
    check_names(environ)
    return True


class ControlEndpoint:
    """The control location, as one worker serves it."""

    def __init__(self, server: Server) -> None:
        """Call it in the worker, once that serves."""
        assert server.peers is not None  # noqa: S101
        settings = server.settings
        about = About(__version__, settings.mode, server.since_s, server.loop.unix_s)
        self._settings = settings
        self._loop = server.loop
        self._uwsgi = server.uwsgi
        self._callers: set[WebCaller] = set()
        self._app = ControlApp(
            server.peers,
            about,
            server.page.secret,
            self._open_caller,
            max_requests(server.uwsgi.cores()),
        )

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request; who asks is who the web server names."""
        identity = read_identity(environ, self._settings)
        who = identity.remote_user or identity.dn
        return self._app({**environ, "REMOTE_USER": who}, start_response)

    def end(self) -> None:
        """Have every stream end: uWSGI waits for requests under way."""
        for caller in list(self._callers):
            caller.end()

    def _open_caller(self) -> WebCaller:
        """Return whoever sent the current request. Raises OSError if it has gone."""
        caller = WebCaller(self._loop, self._uwsgi.own_connection(), self._callers.discard)
        self._callers.add(caller)
        return caller
