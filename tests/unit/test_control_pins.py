"""Pins: a MAC belongs to one identity on every worker, over deaths and reloads, until unpinned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.control import Operator
from tests.fakes.house import House
from tests.support.frames import frame, mac
from vpnws.server.inspect.pins import RENEW_EVERY_S
from vpnws.server.peers import shared_rules
from vpnws.switch.guard.claims import RESERVED_S
from vpnws.wire.ethernet import BROADCAST, format_mac, parse_mac

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.station import Station

A = mac(10)


@pytest.fixture
def house() -> Iterator[House]:
    with House(workers=2, tap="lan:tap9") as built:
        yield built


def join(house: House, worker: int, user: str, **variables: Any) -> Station:
    return house.connect(worker, network="lan", REMOTE_USER=user, **variables)


def pin(house: House, user: str = "ada", worker: int = 1, **more: str) -> dict[str, Any]:
    body = {"network": "lan", "mac": format_mac(A), "user": user, **more}
    made: dict[str, Any] = Operator(house, worker).change("POST", "pins", body)
    return made


def row(house: House) -> dict[str, Any]:
    """Return what the FDB says of A; empty if it does not have it."""
    (found,) = Operator(house).get("fdb", f"mac={format_mac(A)}")["items"] or [{}]
    return dict(found)


def has_it(house: House, station: Station) -> bool:
    """Let a station send from A; return whether its frame was let in."""
    worker = house.processes[station.worker].node
    before = sum(link.port.drops.total() for link in worker.links.values())
    house.loop.advance(0.2)
    station.send(frame(BROADCAST, A))
    return sum(link.port.drops.total() for link in worker.links.values()) == before


class TestAPinnedMac:
    def test_is_its_owners_on_every_worker(self, house: House) -> None:
        pin(house)
        thieves = [join(house, worker, "bob") for worker in (1, 2)]
        assert [has_it(house, thief) for thief in thieves] == [False, False]
        owner = join(house, 2, "ada")
        assert has_it(house, owner)
        assert (row(house)["kind"], row(house)["process"]) == ("pinned", "worker 2")

    def test_is_listed_by_every_worker(self, house: House) -> None:
        made = pin(house, worker=2)
        for worker in (1, 2):
            (listed,) = Operator(house, worker).get("pins")["items"]
            assert listed == made
        assert made["mac"] == format_mac(A)
        assert (made["network"], made["user"], made["by"]) == ("lan", "ada", "root")

    def test_is_shown_while_its_owner_is_away(self, house: House) -> None:
        pin(house)
        assert (row(house)["kind"], row(house)["port"]) == ("pinned", "")
        assert row(house)["who"]["user"] == "ada"

    def test_is_taken_from_who_has_it(self, house: House) -> None:
        thief, owner = join(house, 1, "bob"), join(house, 2, "ada")
        assert has_it(house, thief)
        pin(house)
        assert not has_it(house, thief)
        assert has_it(house, owner)

    def test_stays_pinned_when_its_owner_leaves_for_good(self, house: House) -> None:
        owner, thief = join(house, 1, "ada"), join(house, 2, "bob")
        pin(house)
        assert has_it(house, owner)
        owner.leave()
        house.loop.advance(2 * RESERVED_S)
        assert not has_it(house, thief)
        assert row(house)["kind"] == "pinned"

    def test_stays_pinned_when_a_worker_dies(self, house: House) -> None:
        owner = join(house, 1, "ada")
        pin(house)
        assert has_it(house, owner)
        house.kill(1)
        house.start(1)
        assert [has_it(house, join(house, worker, "bob")) for worker in (1, 2)] == [False, False]
        assert Operator(house).get("pins")["items"][0]["user"] == "ada"
        assert has_it(house, join(house, 1, "ada"))

    @pytest.mark.parametrize("is_here", [False, True])
    def test_stays_pinned_over_a_reload(self, house: House, is_here: bool) -> None:
        made = pin(house)
        if is_here:
            assert has_it(house, join(house, 1, "ada"))
        house.reload_all()
        assert Operator(house).get("pins")["items"] == [made]
        house.loop.advance(2 * RESERVED_S)
        assert not has_it(house, join(house, 2, "bob"))
        assert has_it(house, join(house, 1, "ada"))

    def test_is_pinned_again_if_a_race_lost_it(self, house: House) -> None:
        pin(house)
        house.processes[1].node.shared.delete("lan", A)
        house.loop.advance(RENEW_EVERY_S)
        assert not has_it(house, join(house, 2, "bob"))

    def test_is_not_freed_by_a_flush(self, house: House) -> None:
        owner = join(house, 1, "ada")
        pin(house)
        assert has_it(house, owner)
        body = {"network": "lan", "mac": format_mac(A)}
        assert Operator(house).change("POST", "fdb/flush", body) == {"flushed": 1}
        assert row(house)["kind"] == "pinned"
        status, answer = Operator(house).try_change("POST", "fdb/flush", body)
        assert status == 409
        assert "is pinned" in answer["error"]
        assert not has_it(house, join(house, 2, "bob"))


class TestUnpin:
    def test_frees_it_at_once_if_its_owner_is_away(self, house: House) -> None:
        made = pin(house)
        Operator(house, 2).change("DELETE", f"pins/{made['id']}")
        assert Operator(house).get("pins")["items"] == []
        house.loop.advance(RENEW_EVERY_S)
        assert has_it(house, join(house, 2, "bob"))

    def test_leaves_it_to_its_owner_who_is_here(self, house: House) -> None:
        owner = join(house, 1, "ada")
        made = pin(house)
        assert has_it(house, owner)
        Operator(house, 2).change("DELETE", f"pins/{made['id']}")
        assert row(house)["kind"] == "learned"
        assert not has_it(house, join(house, 2, "bob"))
        owner.leave()
        assert has_it(house, join(house, 2, "bob"))

    def test_of_none_is_refused_and_no_ban_is_taken_for_one(self, house: House) -> None:
        ban = Operator(house).change("POST", "bans", {"user": "eve"})
        made = pin(house)
        assert Operator(house).try_change("DELETE", "pins/abc")[0] == 404
        assert Operator(house).try_change("DELETE", f"pins/{ban['id']}")[0] == 404
        assert Operator(house).try_change("DELETE", f"bans/{made['id']}")[0] == 404
        assert [each["id"] for each in Operator(house).get("bans")["items"]] == [ban["id"]]


class TestRefused:
    def refusal(self, house: House, **body: str) -> tuple[int, str]:
        told = {"network": "lan", "mac": format_mac(A), **body}
        status, answer = Operator(house).try_change("POST", "pins", told)
        return status, answer.get("error", "")

    def test_for_somebody_else(self, house: House) -> None:
        pin(house)
        status, error = self.refusal(house, user="bob")
        assert status == 409
        assert error == f"{format_mac(A)} is pinned for ada already: remove that pin first"
        assert pin(house)["user"] == "ada", "the same again changes nothing"

    def test_the_servers_own(self, house: House) -> None:
        own = house.devices.devices["tap9"].mac
        status, error = self.refusal(house, mac=format_mac(own), user="bob")
        assert status == 409
        assert "the server's own" in error
        assert Operator(house).get("pins")["items"] == []

    def test_half_a_name(self, house: House) -> None:
        join(house, 2, "ada", HTTPS_DN="CN=ada")
        status, error = self.refusal(house, user="ada")
        assert status == 400
        assert error == "stations of that name have user ada and dn CN=ada: name both"
        assert self.refusal(house, user="ada", dn="CN=ada")[0] == 200

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"user": "ada", "network": ""},
            {"user": "ada", "network": "<b>"},
            {"user": "ada", "mac": "02:00"},
            {"user": "ada", "mac": "01:00:5e:00:00:01"},
            {"user": "a" * 300},
        ],
    )
    def test_what_makes_no_sense(self, house: House, body: dict[str, str]) -> None:
        assert self.refusal(house, **body)[0] == 400

    def test_more_than_the_bound(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shared_rules, "MAX_PINS", 2)
        for number in (1, 2):
            pin(house, mac=format_mac(mac(number)))
        status, error = self.refusal(house, user="ada")
        assert (status, error) == (409, "there are 2 pins already: remove some")
        pin(house, mac=format_mac(mac(1)))

    def test_when_the_fdb_is_full(self) -> None:
        with House(settings={"fdb-items": "16"}) as house:
            stations = [house.connect(1, network="lan") for _ in range(12)]
            for number, station in enumerate(stations):
                station.send(frame(BROADCAST, mac(100 + number)))
            status, error = self.refusal(house, user="ada")
            assert (status, error) == (409, "the FDB is full: raise vpnws-fdb-items")
            assert Operator(house).get("pins")["items"] == []


def test_a_host_behind_a_tap_does_not_get_it(house: House) -> None:
    pin(house)
    house.devices.opened("tap9").host_send(frame(BROADCAST, A))
    house.loop.settle()
    assert row(house)["kind"] == "pinned"
    assert row(house)["port"] == ""
    assert parse_mac(row(house)["mac"]) == A
