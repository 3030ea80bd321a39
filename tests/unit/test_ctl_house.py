"""vpnws-ctl against a whole server in one process: what it asks for is what the API takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.control_server import HouseWay
from tests.fakes.house import House
from tests.support.ctl_bed import Result
from tests.support.frames import frame
from vpnws.ctl.exits import Exit
from vpnws.ctl.program import cli
from vpnws.wire.announce import announcements
from vpnws.wire.ethernet import BROADCAST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.station import Station

MAC = "02:00:00:00:00:0a"
SENDER = bytes.fromhex(MAC.replace(":", ""))


@pytest.fixture
def house() -> Iterator[House]:
    with House(workers=2, tap="lan:tap9") as built:
        yield built


class Operator:
    """Runs vpnws-ctl as if the house listened at a socket."""

    def __init__(
        self, house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.house, self.capsys = house, capsys
        monkeypatch.setattr(cli, "make_way", lambda _: HouseWay(house, worker=1))

    def __call__(self, line: str) -> Result:
        self.capsys.readouterr()
        code = cli.main(line.split())
        said = self.capsys.readouterr()
        return Result(code, said.out, said.err)

    def json(self, line: str) -> Any:
        """Return what a command prints with --json."""
        result = self(f"--json {line}")
        assert (result.code, result.err) == (Exit.DONE, "")
        return json.loads(result.out)

    def items(self, line: str) -> Any:
        """Return the items of a list."""
        return self.json(line)["items"]

    def done(self, line: str) -> str:
        """Return what a command prints that does what it should."""
        result = self(line)
        assert (result.code, result.err) == (Exit.DONE, "")
        return result.out


@pytest.fixture
def ctl(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Operator:
    return Operator(house, monkeypatch, capsys)


def join(house: House, worker: int, user: str, network: str = "lan", mac: str = MAC) -> Station:
    return house.connect(
        worker, network=network, REMOTE_USER=user, REMOTE_ADDR="10.0.0.1", HTTP_X_VPN_WS_MAC=mac
    )


@pytest.mark.parametrize(
    "line",
    [
        *("status", "ports", "ports --trunks", "ports ada --network lan", "ports 10.8.0.1"),
        *(f"ports {MAC} --search a", "networks --network lan --search l", "drops --recent"),
        *("events", "events ada --name join --level info --since 1h", "bans", "limits --network x"),
        *("fdb", f"fdb {MAC} --network lan", "fdb ada", "fdb 1.1 --search lan"),
        *("who", "who 10.8.0.1 --network lan", "who ada", f"who {MAC}"),
        *("drops 1.1", "trace ada bob --ether arp --network lan"),
    ],
)
def test_the_server_takes_what_is_asked(house: House, ctl: Operator, line: str) -> None:
    join(house, 1, "ada")
    join(house, 2, "bob", mac="02:00:00:00:00:0b")
    result = ctl(line)
    assert result.code == Exit.DONE, result.err


def test_a_list_of_more_than_one_page_is_whole(
    house: House, ctl: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vpnws.ctl.reach.api.PAGE_ITEMS", 2)
    for number in range(7):
        join(house, number % 2 + 1, f"user{number}", mac=f"02:00:00:00:01:{number:02x}")
    assert len(ctl.items("ports")) == 8


def test_a_user_of_another_worker_is_kicked(house: House, ctl: Operator) -> None:
    stations = [join(house, 2, "bob"), join(house, 1, "bob", "guests")]
    refused = ctl("kick bob")
    assert refused.code == Exit.AMBIGUOUS
    assert ctl.done("kick bob --network lan --reason bye").startswith("kicked 2.")
    assert [bool(station.close_code) for station in stations] == [True, False]
    assert ctl.done("kick bob --all").startswith("kicked 1.")
    assert ctl("kick bob").code == Exit.NOT_FOUND


def test_a_port_is_blocked_and_limited(house: House, ctl: Operator) -> None:
    join(house, 2, "bob")
    ctl.done("block bob --reason loop")
    (port,) = ctl.items("ports bob")
    assert (port["is_blocked"], port["block_reason"]) == (True, "loop")
    assert "blocked yes: loop" in " ".join(ctl.done("port bob").split())
    ctl.done(f"unblock {port['id']}")
    ctl.done(f"set {port['id']} --stations 3 --storm-packets-per-s 0")
    (port,) = ctl.items("ports bob")
    assert (port["is_blocked"], port["limits"]["stations"]) == (False, 3)


def test_somebody_is_banned_and_let_in_again(house: House, ctl: Operator) -> None:
    station = join(house, 2, "bob")
    assert ctl.done("ban bob --for 2h --reason loud").startswith("banned bob until ")
    assert station.close_code
    (ban,) = ctl.items("bans")
    assert (ban["user"], ban["network"], ban["reason"]) == ("bob", "", "loud")
    assert "1 h 59 min" in ctl.done("bans") or "2 h" in ctl.done("bans")
    ctl.done("unban bob")
    assert ctl.items("bans") == []
    assert ctl.done("ban addr:10.0.0.0/8 --network lan").startswith("banned 10.0.0.0/8 until ")
    assert len(ctl.items("bans --network lan")) == 1
    assert ctl.items("bans --network guests") == []


def test_a_user_has_limits_of_its_own(house: House, ctl: Operator) -> None:
    join(house, 2, "bob")
    assert "set stations 3 MACs for bob" in ctl.done("set bob --stations 3")
    assert ctl.items("ports bob")[0]["limits"]["stations"] == 3
    assert ctl.items("limits")[0]["user"] == "bob"
    ctl.done("set bob --clear")
    assert ctl.items("limits") == []


def test_events_tell_what_was_done_and_by_whom(house: House, ctl: Operator) -> None:
    join(house, 2, "bob")
    ctl.done("kick bob")
    names = [event["name"] for event in ctl.items("events --network lan")]
    assert names[:1] == ["join"]
    assert "kick" in names
    (kick,) = ctl.items("events bob --name kick")
    assert kick["fields"]["by"] == "root"


def test_a_mac_names_a_port_and_is_forgotten(house: House, ctl: Operator) -> None:
    station = join(house, 2, "bob")
    station.send(frame(BROADCAST, SENDER))
    house.loop.settle()
    assert ctl.items(f"fdb {MAC}")[0]["who"]["user"] == "bob"
    assert f"MACs         {MAC}" in ctl.done(f"port {MAC}")
    assert ctl.done(f"flush {MAC}") == "1 FDB entry flushed\n"
    assert ctl.items(f"fdb {MAC} --search 2.") == []
    station.send(frame(BROADCAST, SENDER))
    house.loop.settle()
    assert ctl.done("flush bob") == "1 FDB entry flushed\n"
    assert ctl.done("flush --network lan").endswith("flushed\n")


def test_a_mac_is_pinned_to_whoever_has_it(house: House, ctl: Operator) -> None:
    station = join(house, 2, "bob")
    station.send(frame(BROADCAST, SENDER))
    house.loop.settle()
    assert ctl.done(f"pin {MAC}").startswith(f"pinned {MAC} in network lan to bob (unpin ")
    (pin,) = ctl.items("pins")
    assert (pin["mac"], pin["user"], pin["network"]) == (MAC, "bob", "lan")
    assert ctl.done("pin 02:00:00:00:00:0f ada --network guests").startswith("pinned 02:")
    assert len(ctl.items("pins --network guests")) == 1
    ctl.done(f"unpin {MAC}")
    ctl.done("unpin ada")
    assert ctl.items("pins") == []


def test_a_tap_has_the_name_of_its_device(house: House, ctl: Operator) -> None:
    assert "device       tap9" in ctl.done("port tap9")
    refused = ctl("kick tap9")
    assert (refused.code, "it is a TAP" in refused.err) == (Exit.NOT_FOUND, True)


def test_a_mac_that_was_only_announced_names_a_port(house: House, ctl: Operator) -> None:
    join(house, 2, "bob")
    assert ctl.done(f"kick {MAC}").startswith("kicked 2.")


def test_an_address_names_its_station(house: House, ctl: Operator) -> None:
    station = join(house, 2, "bob")
    station.send(*announcements(SENDER, [bytes((10, 8, 0, 7))], is_router=False))
    house.loop.settle()
    (entry,) = ctl.items("who 10.8.0.7")
    assert (entry["who"]["user"], entry["mac"], entry["source"]) == ("bob", MAC, "arp")
    assert ctl.done("kick 10.8.0.7").startswith("kicked 2.")


def test_the_sentence_of_the_server_is_shown(house: House, ctl: Operator) -> None:
    join(house, 1, "ada")
    result = ctl(f"kick ada --reason {'x' * 200}")
    assert result.code == Exit.FAILED
    assert "reason" in result.err
    assert ctl("kick 1.99").code == Exit.NOT_FOUND


def test_a_process_that_hangs_is_named(house: House, ctl: Operator) -> None:
    join(house, 1, "ada")
    join(house, 2, "bob")
    house.processes[2].loop.is_paused = True
    listed = ctl("ports")
    assert (listed.code, "ada" in listed.out) == (Exit.DEGRADED, True)
    assert "worker 2 did not answer in time" in listed.err
    assert ctl("kick bob").code == Exit.DEGRADED
    assert ctl("kick 2.1").code == Exit.DEGRADED
