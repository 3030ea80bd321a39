"""Threads of uWSGI's master are warned of, once it has had time to start them."""

from __future__ import annotations

import pytest

from tests.fakes.manual_loop import ManualLoop
from tests.fakes.uwsgi import FakeMaster, FakeUwsgi
from vpnws.server.master import STARTED_S, warn_of_threads


@pytest.mark.parametrize(("threads", "said"), [(0, 0), (1, 0), (3, 1)])
def test_threads_beside_the_first_one_are_warned_of(
    threads: int, said: int, caplog: pytest.LogCaptureFixture
) -> None:
    loop = ManualLoop()
    master = FakeMaster(loop)
    warn_of_threads(loop, FakeUwsgi(master, loop))
    # They start after the workers.
    master.threads = threads
    loop.advance(STARTED_S + 1.0)
    assert len(caplog.messages) == said
    assert all("uWSGI's master has threads (2), and one" in text for text in caplog.messages)


def test_the_loggers_thread_is_none_of_them(caplog: pytest.LogCaptureFixture) -> None:
    loop = ManualLoop()
    master = FakeMaster(loop)
    master.options["threaded-logger"] = True
    master.threads = 2
    warn_of_threads(loop, FakeUwsgi(master, loop))
    loop.advance(STARTED_S + 1.0)
    assert not caplog.messages
