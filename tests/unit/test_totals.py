"""What has passed a network never falls: not when a port goes, and not when the last one does."""

from __future__ import annotations

import pytest

from tests.support.fabric import Fabric
from tests.support.frames import frame, mac
from vpnws.switch.drop import Drop
from vpnws.switch.totals import MAX_PAST_NETWORKS, PastTotals, Totals


@pytest.fixture
def fabric() -> Fabric:
    return Fabric(1)


def totals(fabric: Fabric) -> dict[str, Totals]:
    return dict(fabric.switches[0].networks.totals())


def test_ports_that_have_gone_still_count(fabric: Fabric) -> None:
    one, two = fabric.attach(), fabric.attach()
    fabric.send(two, frame(mac(1), mac(2)))
    fabric.send(one, frame(mac(2), mac(1)), frame(mac(2), mac(1)), b"short")
    before = totals(fabric)["default"]
    size = len(frame(mac(1), mac(2)))
    assert (before.rx_frames, before.rx_bytes) == (4, 3 * size + 5)
    assert (before.tx_frames, before.tx_bytes) == (3, 3 * size)
    assert before.drops == {Drop.LENGTH: 1}
    fabric.detach(one)
    assert totals(fabric)["default"] == before
    fabric.detach(two)
    assert totals(fabric)["default"] == before


def test_a_network_that_comes_again_goes_on(fabric: Fabric) -> None:
    one, two = fabric.attach(), fabric.attach()
    fabric.send(one, frame(mac(2), mac(1)))
    fabric.detach(one)
    fabric.detach(two)
    one, two = fabric.attach(), fabric.attach()
    assert totals(fabric)["default"].rx_frames == 1
    fabric.send(one, frame(mac(2), mac(1)))
    assert totals(fabric)["default"].rx_frames == 2


def test_networks_are_apart(fabric: Fabric) -> None:
    one, _ = fabric.attach(network="blue"), fabric.attach(network="red")
    fabric.send(one, frame(mac(2), mac(1)))
    assert {name: each.rx_frames for name, each in totals(fabric).items()} == {"blue": 1, "red": 0}


def test_waits_and_marks_are_added(fabric: Fabric) -> None:
    port = fabric.attach()
    for _ in range(2):
        sum_of = Totals()
        port.egress.counts.marked += 3
        port.egress.counts.delays[2] += 5
        port.egress.counts.waited_s += 0.25
        sum_of.add_port(port)
        sum_of.add_port(port)
    assert (sum_of.marked, sum_of.delays[2], sum_of.waited_s) == (12, 20, 1.0)
    assert port.egress.counts.delays[2] == 10


def test_a_full_table_is_counted_after_the_network_has_gone() -> None:
    fabric = Fabric(1, fdb_limit=2)
    port = fabric.attach()
    for number in range(1, 5):
        fabric.send(port, frame(mac(99), mac(number)))
    full = fabric.fdb(port).known.counts.refused
    assert full == totals(fabric)["default"].macs_refused > 0
    fabric.detach(port)
    assert totals(fabric)["default"].macs_refused == full


def test_past_the_bound_the_network_that_went_first_is_forgotten() -> None:
    past = PastTotals()
    for number in range(MAX_PAST_NETWORKS + 1):
        past.keep(f"n{number}", Totals(rx_frames=number))
    assert len(past.items()) == MAX_PAST_NETWORKS
    assert past.take("n0") == Totals()
    assert past.take("n1") == Totals(rx_frames=1)
    assert past.take("n1") == Totals()


def test_a_name_that_went_twice_has_its_last_totals() -> None:
    past = PastTotals()
    past.keep("blue", Totals(rx_frames=1))
    past.keep("blue", Totals(rx_frames=2))
    assert past.items() == [("blue", Totals(rx_frames=2))]
