"""A running server for each receiver, with an HTTP socket for each of its two workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.live.server import TwoWorkers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package", params=["stream", "native"])
def either(request: pytest.FixtureRequest) -> Iterator[TwoWorkers]:
    """Yield a server with each receiver in turn."""
    with TwoWorkers({"vpnws-receiver": request.param}) as server:
        yield server


@pytest.fixture(scope="package")
def stream() -> Iterator[TwoWorkers]:
    """Yield a server with the default receiver."""
    with TwoWorkers({}) as server:
        yield server
