"""When the client pings, and when it takes its server for dead."""

from vpnws.client.carry.keepalive import DEAD_AFTER_S, PING_AFTER_S, Due, Keepalive


def test_nothing_is_due_while_the_server_is_heard() -> None:
    keepalive = Keepalive(now=0)
    for now in range(1, 200, 10):
        assert keepalive.due(now) is Due.NOTHING
        keepalive.received(now)


def test_one_ping_is_due_for_each_silent_interval() -> None:
    keepalive = Keepalive(now=0)
    assert keepalive.due(PING_AFTER_S - 0.1) is Due.NOTHING
    assert keepalive.due(PING_AFTER_S) is Due.PING
    assert keepalive.due(PING_AFTER_S) is Due.NOTHING
    assert keepalive.due(2 * PING_AFTER_S) is Due.PING


def test_the_server_is_dead_after_a_silence_that_no_ping_broke() -> None:
    keepalive = Keepalive(now=0)
    keepalive.due(PING_AFTER_S)
    keepalive.due(2 * PING_AFTER_S)
    assert keepalive.due(DEAD_AFTER_S - 0.1) is not Due.GIVE_UP
    assert keepalive.due(DEAD_AFTER_S) is Due.GIVE_UP


def test_anything_received_starts_the_silence_anew() -> None:
    keepalive = Keepalive(now=0)
    keepalive.due(PING_AFTER_S)
    keepalive.received(DEAD_AFTER_S - 1)
    assert keepalive.due(DEAD_AFTER_S) is Due.NOTHING
    assert keepalive.due(DEAD_AFTER_S - 1 + PING_AFTER_S) is Due.PING


def test_the_next_moment_is_the_one_when_something_becomes_due() -> None:
    keepalive = Keepalive(now=0)
    seen = []
    for _ in range(3):
        now = keepalive.next_at_s()
        assert keepalive.due(now - 0.001) is Due.NOTHING
        seen.append((now, keepalive.due(now)))
    assert seen == [
        (PING_AFTER_S, Due.PING),
        (2 * PING_AFTER_S, Due.PING),
        (DEAD_AFTER_S, Due.GIVE_UP),
    ]
