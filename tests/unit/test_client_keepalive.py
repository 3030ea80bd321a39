"""When the client pings, and when it takes its server for dead."""

from vpnws.client.carry.keepalive import DEAD_AFTER_S, PING_AFTER_S, Due, Keepalive


def test_nothing_is_due_while_the_server_is_heard() -> None:
    keepalive = Keepalive(now=0, answers_pings=True)
    for now in range(1, 200, 10):
        assert keepalive.due(now) is Due.NOTHING
        keepalive.received(now)


def test_one_ping_is_due_for_each_silent_interval() -> None:
    keepalive = Keepalive(now=0, answers_pings=True)
    assert keepalive.due(PING_AFTER_S - 0.1) is Due.NOTHING
    assert keepalive.due(PING_AFTER_S) is Due.PING
    assert keepalive.due(PING_AFTER_S) is Due.NOTHING
    assert keepalive.due(2 * PING_AFTER_S) is Due.PING


def test_the_server_is_dead_after_a_silence_that_no_ping_broke() -> None:
    keepalive = Keepalive(now=0, answers_pings=True)
    keepalive.due(PING_AFTER_S)
    keepalive.due(2 * PING_AFTER_S)
    assert keepalive.due(DEAD_AFTER_S - 0.1) is not Due.GIVE_UP
    assert keepalive.due(DEAD_AFTER_S) is Due.GIVE_UP


def pinged_until(keepalive: Keepalive, end_s: float) -> list[Due]:
    """Return what is due every second; the server takes what is written, and says nothing."""
    seen = []
    for now in range(1, int(end_s) + 1):
        keepalive.accepted(now)
        seen.append(keepalive.due(now))
    return seen


def test_a_server_that_never_answers_pings_is_alive_while_it_takes_what_is_written() -> None:
    seen = pinged_until(Keepalive(now=0), 10 * DEAD_AFTER_S)
    assert seen.count(Due.PING) == 10 * DEAD_AFTER_S / PING_AFTER_S
    assert Due.GIVE_UP not in seen


def test_a_server_that_never_answers_and_takes_nothing_is_dead() -> None:
    keepalive = Keepalive(now=0)
    keepalive.accepted(5)
    keepalive.due(PING_AFTER_S)
    assert keepalive.due(DEAD_AFTER_S + 4.9) is not Due.GIVE_UP
    assert keepalive.due(DEAD_AFTER_S + 5) is Due.GIVE_UP


def test_a_server_that_has_answered_once_must_go_on_doing_so() -> None:
    keepalive = Keepalive(now=0)
    keepalive.answered()
    seen = pinged_until(keepalive, DEAD_AFTER_S)
    assert (seen.index(Due.GIVE_UP), seen.count(Due.PING)) == (DEAD_AFTER_S - 1, 2)


def test_anything_received_starts_the_silence_anew() -> None:
    keepalive = Keepalive(now=0, answers_pings=True)
    keepalive.due(PING_AFTER_S)
    keepalive.received(DEAD_AFTER_S - 1)
    assert keepalive.due(DEAD_AFTER_S) is Due.NOTHING
    assert keepalive.due(DEAD_AFTER_S - 1 + PING_AFTER_S) is Due.PING


def test_the_next_moment_is_the_one_when_something_becomes_due() -> None:
    keepalive = Keepalive(now=0, answers_pings=True)
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
