"""Fixtures that several modules share; one that needs another kind has its own of that name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.client_bed import WAIT_S, ProgramBed
from tests.support.netns import Namespace
from tests.support.prerequisites import require, require_tap
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """Yield a server's namespace."""
    with Namespace("server") as made:
        yield made


@pytest.fixture(scope="module")
def client_namespace() -> Iterator[Namespace]:
    """Yield a namespace for a module's tests of the client's program."""
    require_tap()
    require("ip")
    with Namespace("client") as made:
        yield made


@pytest.fixture
def bed(client_namespace: Namespace) -> Iterator[ProgramBed]:
    """Yield a bed for one test of the client; afterwards no device is left behind."""
    with ProgramBed(client_namespace) as made:
        yield made
    wait_for(lambda: not made.has_tap(), WAIT_S, "the device to be gone after the test")
