"""Leased addresses over the API: every worker shows all of them, page by page, and frees one."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.control import Operator
from tests.fakes.house import House
from tests.support.frames import mac
from tests.support.told_frames import announces_arp
from vpnws.server.inspect import leases
from vpnws.server.leasing import LOOK_EVERY_S
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    settings = {
        "pool": "10.8.0.0/29 blue:fd00::/64",
        "leases": str(tmp_path / "leases.db"),
        "lease-time": "60",
    }
    with House(settings=settings) as made:
        yield made


def rows(house: House, query: str = "", worker: int = 1) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = Operator(house, worker).get("leases", query=query)["items"]
    return items


def refused(operator: Operator, status: int, body: dict[str, str]) -> str:
    """Try to release an address, and return why that is refused."""
    found, answer = operator.try_change("POST", "leases/release", body)
    assert found == status
    error: str = answer["error"]
    return error


def test_all_workers_show_who_has_which_and_who_has_left(house: House) -> None:
    alice = house.connect(
        1, offload=True, HTTP_X_VPN_WS_MAC=format_mac(mac(1)), REMOTE_USER="alice"
    )
    house.connect(
        2, network="blue", offload=True, HTTP_X_VPN_WS_MAC=format_mac(mac(2)), DN="CN=bob"
    )
    first, second = rows(house)
    assert rows(house, worker=2) == [first, second]
    assert (first["network"], first["name"], first["mac"]) == ("blue", "CN=bob", format_mac(mac(2)))
    assert first["ip"].startswith("fd00::")
    assert (second["name"], second["port"], second["until_s"]) == ("alice", "1.1", 0.0)
    body = {"network": "default", "ip": second["ip"]}
    said = refused(Operator(house, 2), 409, body)
    assert said.startswith(f"port 1.1 has {second['ip']}: kick that station first")
    alice.hang_up()
    house.loop.advance(LOOK_EVERY_S)
    (left,) = rows(house, "user=alice")
    assert left["port"] == ""
    assert left["until_s"] == pytest.approx(left["since_s"] + 60)
    assert Operator(house, 2).change("POST", "leases/release", body) == {"count": 1}
    assert refused(Operator(house), 404, body).startswith("nobody has leased")
    journal = house.processes[2].node.journal
    assert journal.after(0)[-1].text == f"released network=default ip={second['ip']} by=root"


def test_they_come_in_pages_and_by_filters(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "MAX_ROWS", 2)
    for number in range(1, 6):
        house.connect(1, offload=True, HTTP_X_VPN_WS_MAC=format_mac(mac(number)))
    found = rows(house)
    assert len(found) == 5
    operator, after, paged = Operator(house), "", []
    while True:
        page = operator.get("leases", query=f"limit=2&after={after}")
        paged += page["items"]
        after = page["next"]
        if not after:
            break
    assert paged == found
    assert [row["mac"] for row in rows(house, "mac=02-00-00-00-00-03")] == [format_mac(mac(3))]
    assert len(rows(house, f"ip={found[2]['ip']}")) == 1
    assert len(rows(house, "port=1.4")) == 1
    assert rows(house, "network=blue") == rows(house, "q=nobody") == []
    assert len(rows(house, "q=00:04")) == 1
    for query in ("ip=x", "mac=x", "after=x", "after=WzEsMiwzXQ"):
        status, answer = operator.ask("GET", "api/v1/leases", query=query)
        assert (status, bool(answer["error"])) == (400, True)


def test_a_table_that_cannot_be_read_is_said(house: House, tmp_path: Path) -> None:
    holder = sqlite3.connect(tmp_path / "leases.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    said = refused(Operator(house), 503, {"network": "default", "ip": "10.8.0.1"})
    assert "another process has held" in said
    holder.close()


def test_a_server_without_a_pool_has_none() -> None:
    with House() as house:
        assert rows(house) == []
        said = refused(Operator(house), 404, {"network": "default", "ip": "10.8.0.1"})
        assert said == "this server leases no addresses: see vpnws-pool"


def test_who_marks_an_address_that_its_port_leases(house: House) -> None:
    house.connect(1, offload=True, HTTP_X_VPN_WS_MAC=format_mac(mac(1)))
    station = house.stations[-1]
    leased = rows(house)[0]["ip"]
    station.send(announces_arp(mac(1), leased), announces_arp(mac(1), "10.8.0.99"))
    heard = Operator(house).get("addresses")["items"]
    assert {row["ip"]: row["is_leased"] for row in heard} == {leased: True, "10.8.0.99": False}
