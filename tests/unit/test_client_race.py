"""Happy Eyeballs: the order, the times and the sockets of an attempt to reach one host."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.real_waiter import real_waiter
from vpnws.client.connect import race as race_module
from vpnws.client.connect.race import ATTEMPT_DELAY_S, TCP_TIMEOUT_S, Race, interleave
from vpnws.client.connect.tcp import connect_first
from vpnws.client.waiting import Stopped, Waiter
from vpnws.errors import ConnectError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.client.connect.race import Address


def v6(number: int, port: int = 443) -> Address:
    return socket.AF_INET6, (f"2001:db8::{number}", port, 0, 0)


def v4(number: int, port: int = 443) -> Address:
    return socket.AF_INET, (f"192.0.2.{number}", port)


@pytest.fixture
def waiter() -> Iterator[Waiter]:
    with real_waiter() as made:
        yield made


@pytest.mark.parametrize(
    ("addresses", "order"),
    [
        ([], []),
        ([v6(1), v6(2), v4(1), v4(2)], [v6(1), v4(1), v6(2), v4(2)]),
        ([v4(1), v6(1), v6(2)], [v4(1), v6(1), v6(2)]),
        ([v4(1), v4(1), v4(2)], [v4(1), v4(2)]),
    ],
)
def test_families_take_turns_and_the_resolvers_order_stays(
    addresses: list[Address], order: list[Address]
) -> None:
    assert interleave(addresses) == order


def test_doubtful_addresses_come_last() -> None:
    addresses = [v6(1), v6(2), v4(1)]
    assert interleave(addresses, {"2001:db8::1", "192.0.2.1"}) == [v6(2), v6(1), v4(1)]


@given(st.lists(st.one_of(st.integers(1, 9).map(v4), st.integers(1, 9).map(v6)), max_size=12))
def test_no_address_is_lost_or_tried_twice(addresses: list[Address]) -> None:
    order = interleave(addresses)
    assert sorted(map(str, order)) == sorted(map(str, set(addresses)))


def test_the_next_address_is_tried_beside_one_that_is_slow() -> None:
    race = Race([v6(1), v4(1)])
    assert race.start(10.0) == v6(1)
    assert race.wake_s == 10.0 + ATTEMPT_DELAY_S
    assert race.start(10.0 + ATTEMPT_DELAY_S / 2) is None
    assert race.start(10.0 + ATTEMPT_DELAY_S) == v4(1)
    assert race.wake_s == 10.0 + TCP_TIMEOUT_S
    assert race.overdue(10.0 + TCP_TIMEOUT_S) == [v6(1)]
    race.fail(v6(1))
    assert not race.is_lost
    assert race.wake_s == 10.0 + ATTEMPT_DELAY_S + TCP_TIMEOUT_S
    race.fail(v4(1))
    assert race.is_lost


def test_after_a_failure_the_next_address_does_not_wait() -> None:
    race = Race([v6(1), v4(1)])
    assert race.start(10.0) == v6(1)
    race.fail(v6(1))
    assert race.start(10.0) == v4(1)


@given(st.lists(st.tuples(st.booleans(), st.floats(0.01, 1.0)), max_size=40), st.integers(0, 8))
def test_a_race_always_ends_in_time(steps: list[tuple[bool, float]], count: int) -> None:
    """Whatever fails when, all is over once each address has had its start and its time."""
    race, now, running = Race([v4(number) for number in range(count)]), 0.0, set[object]()
    for fails, duration_s in [*steps, *[(False, 0.25)] * 40]:
        started = race.start(now)
        if started is not None:
            running.add(started)
        for address in race.overdue(now):
            race.fail(address)
            running.discard(address)
        if fails and running:
            race.fail(running.pop())  # type: ignore[arg-type]
        if race.is_lost:
            return
        now += duration_s
    assert race.is_lost


def at(listener: socket.socket) -> Address:
    return listener.family, listener.getsockname()[:2]


@contextmanager
def deaf_listener() -> Iterator[Address]:
    """An address that answers no SYN: its backlog is full."""
    with ExitStack() as parts:
        listener = parts.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        # Linux takes one more than the backlog; what is full drops a SYN in silence.
        for _ in range(2):
            filler = parts.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        yield socket.AF_INET, address


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """The sockets that are made from now on."""
    kept: list[socket.socket] = []

    class Kept(socket.socket):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            kept.append(self)

    monkeypatch.setattr(socket, "socket", Kept)
    return kept


def test_the_address_that_answers_first_wins_and_no_other_socket_stays(
    waiter: Waiter, made: list[socket.socket]
) -> None:
    with deaf_listener() as deaf, socket.create_server(("127.0.0.1", 0)) as listener:
        made.clear()
        with closing(connect_first("h", "server", [deaf, at(listener)], (), waiter)) as sock:
            assert sock.getpeername() == listener.getsockname()
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert len(made) == 2
            assert [each for each in made if each.fileno() >= 0] == [sock]


def test_an_address_that_never_answers_is_given_up(
    waiter: Waiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(race_module, "TCP_TIMEOUT_S", 0.05)
    with deaf_listener() as deaf, pytest.raises(ConnectError) as caught:
        connect_first("h:1", "server", [deaf], (), waiter)
    assert str(caught.value) == (
        "cannot connect to h:1: Connection timed out, no answer: is the address right, and does a"
        " firewall let the port through? (127.0.0.1)"
    )


def test_each_reason_is_told_once_with_its_addresses(waiter: Waiter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    refusing: list[Address] = [(socket.AF_INET, (f"127.0.0.{n}", port)) for n in (1, 2)]
    # The discard prefix (RFC 6666) or any IPv6 address without a route fails at once.
    impossible: Address = (socket.AF_INET, ("255.255.255.255", port))
    with pytest.raises(ConnectError) as caught:
        connect_first("h", "server", [*refusing, impossible], (), waiter)
    said = str(caught.value)
    assert "is the port right? (127.0.0.1, 127.0.0.2); " in said
    assert said.endswith("(255.255.255.255)")


def test_a_family_that_the_kernel_lacks_is_a_failure_like_others(
    waiter: Waiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = socket.socket

    def without_ipv6(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return made(family, kind)

    with made() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = at(listener)
        monkeypatch.setattr("vpnws.client.connect.tcp.socket.socket", without_ipv6)
        with closing(connect_first("h", "server", [v6(1), address], (), waiter)) as sock:
            assert sock.getpeername() == address[1]


def test_a_stop_closes_every_socket(waiter: Waiter, made: list[socket.socket]) -> None:
    with deaf_listener() as deaf:
        made.clear()
        waiter.stop.request()
        with pytest.raises(Stopped):
            connect_first("h", "server", [deaf], (), waiter)
        assert len(made) == 1
        assert made[0].fileno() == -1
