"""Connects as the client does, without a TAP: settings from a URL, a connection, what it says."""

from __future__ import annotations

import dataclasses
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from vpnws.client.connect.dial import Dialer
from vpnws.client.connect.url import parse_url
from vpnws.client.settings import ClientSettings
from vpnws.errors import ConnectError
from vpnws.https import tls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.client.carry.connection import Connection
    from vpnws.client.settings import Proxy
    from vpnws.client.waiting import Waiter

MAC = bytes.fromhex("02000000000a")
WAIT_S = 5.0


def settings_for(url: str, *, proxy: Proxy | None = None, **changes: object) -> ClientSettings:
    """Return settings for `url`, through `proxy` if there is one."""
    parsed = dataclasses.replace(parse_url(url), proxy=proxy)
    settings = ClientSettings(tap_name="tap9", url=parsed, login=parsed.login)
    return dataclasses.replace(settings, **changes)  # type: ignore[arg-type]


@contextmanager
def connected(settings: ClientSettings, waiter: Waiter) -> Iterator[Connection]:
    """Connect, and close the connection at the end."""
    context = tls.make_context(settings.tls) if settings.url.secure else None
    connection = Dialer(settings, context, waiter).connect(MAC)
    try:
        yield connection
    finally:
        connection.close()


def next_messages(connection: Connection, count: int) -> list[bytes]:
    """Return the next `count` messages, or those that came in time."""
    messages = [bytes(message) for message in connection.take_early()]
    until_s = time.monotonic() + WAIT_S
    while len(messages) < count and time.monotonic() < until_s and not connection.failure:
        connection.flush()
        messages += [bytes(message) for message in connection.receive()]
    return messages


def failure(settings: ClientSettings, waiter: Waiter) -> ConnectError:
    """Return the error that an attempt to connect must end with."""
    with pytest.raises(ConnectError) as caught, connected(settings, waiter):
        pass
    return caught.value
