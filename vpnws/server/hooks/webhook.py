"""The webhook: posts events one after the other, tries again for a while, and loses what is old."""

from __future__ import annotations

import hmac
import http.client
import ssl
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

import msgspec

from vpnws import __version__
from vpnws.errors import ConfigError
from vpnws.text import one_line

if TYPE_CHECKING:
    from vpnws.config import Settings
    from vpnws.control.views import EventView
    from vpnws.server.hooks.background import Background
    from vpnws.server.hooks.failures import Failures
    from vpnws.server.loop import Loop

MAX_WAITING: Final = 1000
"""Events that wait to be posted; the oldest of more are lost, and counted."""
RETRIES_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""The pauses after which an event is posted again, before it is given up."""
POST_S: Final = 10.0
"""The time for a connection, and for each part of an answer."""
MAX_ANSWER_BYTES: Final = 65_536
"""Of a longer answer the rest is not read: its connection is closed."""
SIGNATURE: Final = "X-vpnws-signature"
HOOK: Final = "vpnws-webhook"
_NOT_BY_DEFAULT: Final = ("learn", "address")
_WORTH_A_RETRY: Final = (408, 429)


@dataclass(frozen=True, slots=True)
class Posted:
    """What has become of a post."""

    trouble: str = ""
    """Why it has failed; empty if it has not."""
    is_final: bool = True
    """Whether it makes no sense to try again."""


class Poster(Protocol):
    """Where events are posted to, so that a test can pass in its own."""

    def post(self, body: bytes) -> Posted:
        """Post `body` and wait for the answer; it raises nothing."""


class HttpPoster:
    """A `Poster` that keeps one connection while the server does; for one thread at a time."""

    def __init__(self, url: str, *, secret: bytes = b"", ca_file: str = "") -> None:
        """`secret` signs each body. Certificates are checked by the system's CAs or `ca_file`.

        Raises OSError if that file cannot be read.
        """
        parts = urlsplit(url)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._secret = secret
        host, port = parts.hostname or "", parts.port
        self._connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=ca_file or None)
            self._connection = http.client.HTTPSConnection(
                host, port, timeout=POST_S, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(host, port, timeout=POST_S)

    def post(self, body: bytes) -> Posted:
        """Post `body` as JSON. A kept connection that the server has closed is opened anew."""
        was_open = self._connection.sock is not None
        posted = self._try(body)
        if posted.trouble and not posted.is_final and was_open and self._connection.sock is None:
            return self._try(body)
        return posted

    def _try(self, body: bytes) -> Posted:
        headers = {"Content-Type": "application/json", "User-Agent": f"vpnws/{__version__}"}
        if self._secret:
            headers[SIGNATURE] = f"sha256={hmac.digest(self._secret, body, 'sha256').hex()}"
        try:
            self._connection.request("POST", self._target, body, headers)
            answer = self._connection.getresponse()
            answer.read(MAX_ANSWER_BYTES)
            if not answer.isclosed():
                self._connection.close()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return Posted(f"{type(error).__name__}: {error}", is_final=False)
        if 200 <= answer.status < 300:
            return Posted()
        is_final = answer.status < 500 and answer.status not in _WORTH_A_RETRY
        return Posted(one_line(f"status {answer.status} {answer.reason}"), is_final)


class Webhook:
    """The queue of events to post."""

    def __init__(
        self,
        loop: Loop,
        background: Background,
        failures: Failures,
        poster: Poster,
        wanted: tuple[str, ...] = (),
    ) -> None:
        """Post events with the names `wanted`; if that is empty, all but learn and address."""
        self._loop = loop
        self._background = background
        self._failures = failures
        self._poster = poster
        self._wanted = wanted
        self._waiting: deque[bytes] = deque()
        self._is_busy = False
        self._tries = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is posted or waits."""
        return not self._waiting

    def tell(self, event: EventView) -> None:
        """Post `event` when it is its turn."""
        if event.name in self._wanted if self._wanted else event.name not in _NOT_BY_DEFAULT:
            if len(self._waiting) >= MAX_WAITING:
                # The one that is under way stays.
                del self._waiting[1]
                self._failures.note(
                    HOOK, f"more than {MAX_WAITING} events wait: the oldest is lost"
                )
            self._waiting.append(msgspec.json.encode(event))
            self._next()

    def _next(self) -> None:
        if self._waiting and not self._is_busy:
            self._is_busy = True
            self._background.run(partial(self._poster.post, self._waiting[0]), self._posted)

    def _posted(self, posted: Posted) -> None:
        if posted.trouble and not posted.is_final and self._tries < len(RETRIES_S):
            pause_s = RETRIES_S[self._tries]
            self._tries += 1
            self._retry = self._loop.after(pause_s, self._again)
            return
        if posted.trouble:
            self._failures.note(HOOK, f"an event is lost: {posted.trouble}")
        self._waiting.popleft()
        self._tries = 0
        self._again()

    def _again(self) -> None:
        self._is_busy = False
        self._next()


def make_poster(settings: Settings) -> HttpPoster:
    """Return what posts to the webhook of `settings`.

    Raises ConfigError if the secret or the CAs cannot be read.
    """
    name, path = "vpnws-webhook-secret-file", settings.webhook_secret_file
    try:
        secret = Path(path).read_bytes().strip() if path else b""
        name, path = "vpnws-webhook-ca", settings.webhook_ca
        return HttpPoster(settings.webhook, secret=secret, ca_file=path)
    except OSError as error:
        raise ConfigError(f"{name} = {path} cannot be used: {error}") from error
