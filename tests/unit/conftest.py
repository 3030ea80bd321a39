"""Every unit test runs without a deadline and without root's capabilities."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.support.capabilities import without_capabilities

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

settings.register_profile("unit", deadline=None)
settings.load_profile("unit")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Run each test as any user would: what takes a capability fails for root too."""
    with without_capabilities():
        return (yield)


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """Undo what a server that a test starts does to the log: the next test begins without it."""
    log = logging.getLogger("vpnws")
    handlers, level = list(log.handlers), log.level
    yield
    log.handlers[:] = handlers
    log.setLevel(level)
