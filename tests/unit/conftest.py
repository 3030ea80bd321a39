"""Every unit test runs without a deadline and without root's capabilities."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.fakes.control_server import at_socket
from tests.support.capabilities import without_capabilities
from tests.support.ctl_bed import NOW_S, Bed, canned
from vpnws.ctl.reach.api import Api
from vpnws.tap.memory import MemoryTap

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

HERE = Path(__file__).parent
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run each test here as any user would: what takes a capability fails for root too."""
    # pytest calls this hook for the tests of other folders too.
    if HERE not in item.path.parents:
        return (yield)
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


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Path]:
    """Yield the path of a socket that this process listens at."""
    path = tmp_path / "live.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(1)
        yield path


@pytest.fixture
def tap() -> Iterator[MemoryTap]:
    """Yield a device that is up, without virtio headers."""
    made = MemoryTap("tap9")
    made.up()
    yield made
    made.close()


@pytest.fixture
def ctl(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bed]:
    """Yield what runs vpnws-ctl against a server that knows `tests.support.ctl_bed`."""
    # However long the tests before have taken, it is the moment of which that tells.
    monkeypatch.setattr(Api, "now_s", lambda _: NOW_S)
    path, server = tmp_path / "ctl.sock", canned()
    with at_socket(path, server):
        yield Bed(capsys, path, server)
