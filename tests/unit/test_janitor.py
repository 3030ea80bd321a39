"""The janitor's changes: made as wanted, and undone so that the machine is as it was before."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.iproute import FakeSystem
from vpnws.client.janitor import changes, journal
from vpnws.client.janitor.changes import Address, Mtu, NameServers, Pin, Route, Switch
from vpnws.client.janitor.journal import JournalError, Lock, Place, places
from vpnws.client.janitor.ledger import MAX_CHANGES, MAX_PINS, Ledger
from vpnws.client.janitor.left import undo_left, undo_left_of_gone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpnws.client.janitor.changes import Change
    from vpnws.client.janitor.deeds import Deed

TAP = "tap0"
OWN = Address("10.8.0.2/24")
HALF = Route("0.0.0.0/1", "10.8.0.1")
OTHER_HALF = Route("128.0.0.0/1", "10.8.0.1")
SERVER = "203.0.113.5"
SOME: tuple[Change, ...] = (
    *(OWN, HALF, OTHER_HALF, Address("fd08::2/64"), Route("fd09::/32", "fd08::1")),
    *(Route("10.9.0.0/16"), Mtu(1400), Switch("accept_ra_defrtr", 0), Address("10.8.0.9/24")),
    NameServers(("10.8.0.1",)),
)


class Bed:
    """A ledger on a fake machine, with a real journal."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.system = FakeSystem.home()
        self.machine = self.system.machine(directory)
        self.machine.resolv_conf.write_text("nameserver 192.168.5.1\n")
        self.place = Place.of(directory, TAP)
        self.ledger = Ledger(self.machine, TAP, self.write)
        self.before = self.state()

    def write(self, deeds: Sequence[Deed]) -> None:
        journal.write(self.place, deeds)

    def state(self) -> object:
        files = [self.machine.resolv_conf, *self.machine.sysctls.rglob("*/*/*")]
        texts = {str(path): path.read_text() for path in files if path.is_file()}
        left = sorted(path.name for path in self.directory.iterdir())
        return self.system.state(), texts, left

    def routes(self) -> list[tuple[str, str]]:
        """Return our routes: where to, and by which device or gateway."""
        return [
            (each["dst"], each.get("gateway") or each.get("dev") or each["type"])
            for each in self.system.routes
            if each.get("protocol") == "118"
        ]


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path)


class TestWanted:
    def test_it_is_made_in_order_and_undone_in_the_opposite_one(self, bed: Bed) -> None:
        assert bed.ledger.want((OWN, HALF, OTHER_HALF)) == []
        assert bed.system.addresses[TAP] == ["10.8.0.2/24"]
        assert bed.routes() == [("0.0.0.0/1", "10.8.0.1"), ("128.0.0.0/1", "10.8.0.1")]
        bed.system.commands.clear()
        assert bed.ledger.undo_all() == []
        assert [words[-3:] for words in bed.system.commands if "del" in words][-1] == (
            *("10.8.0.2/24", "dev", TAP),
        )
        assert bed.state() == bed.before

    def test_what_is_wanted_no_more_goes_and_the_rest_stays(self, bed: Bed) -> None:
        bed.ledger.want((OWN, Route("10.9.0.0/16"), Route("10.10.0.0/16")))
        bed.ledger.want((OWN, Route("10.10.0.0/16")))
        assert bed.routes() == [("10.10.0.0/16", TAP)]
        assert bed.system.addresses[TAP] == ["10.8.0.2/24"]

    def test_another_address_takes_its_routes_along(self, bed: Bed) -> None:
        bed.ledger.want((OWN, HALF))
        assert bed.ledger.want((Address("10.8.0.9/24"), HALF)) == []
        assert bed.system.addresses[TAP] == ["10.8.0.9/24"]
        assert bed.routes() == [("0.0.0.0/1", "10.8.0.1")]

    def test_what_the_kernel_has_dropped_is_made_again(self, bed: Bed) -> None:
        bed.ledger.want((OWN, HALF))
        bed.system.routes = [each for each in bed.system.routes if each["dst"] != "0.0.0.0/1"]
        bed.ledger.want((OWN, HALF))
        assert bed.routes() == [("0.0.0.0/1", "10.8.0.1")]

    def test_an_address_is_announced_on_each_connection(self, bed: Bed) -> None:
        for _ in range(2):
            bed.ledger.want((OWN,))
        assert bed.system.announced == 2 * [(TAP, "10.8.0.2/24")]

    def test_what_was_there_before_is_not_ours_to_take(self, bed: Bed) -> None:
        bed.system.addresses[TAP].append("10.8.0.2/24")
        bed.ledger.want((OWN,))
        bed.ledger.undo_all()
        assert bed.system.addresses[TAP] == ["10.8.0.2/24"]

    def test_a_route_of_somebody_else_is_not_replaced(self, bed: Bed) -> None:
        bed.system.add_route("10.9.0.0/16", "eth0", gateway="192.168.5.7")
        (failure,) = bed.ledger.want((Route("10.9.0.0/16"),))
        assert "there is a route to it already (ip route show 10.9.0.0/16)" in str(failure)
        bed.ledger.undo_all()
        assert [each["gateway"] for each in bed.system.routes if each["dst"] == "10.9.0.0/16"]

    def test_a_gateway_that_is_not_near_is_a_sentence(self, bed: Bed) -> None:
        (failure,) = bed.ledger.want((HALF,))
        assert (
            str(failure)
            == f"cannot route 0.0.0.0/1 through {TAP}: Error: Nexthop has invalid gateway."
        )
        assert not bed.place.path.exists()

    def test_without_the_privilege_the_sentence_says_what_root_types(self, bed: Bed) -> None:
        bed.system.is_denied = True
        (failure,) = bed.ledger.want((OWN,))
        assert failure.lacks_permission
        assert str(failure).endswith(f"have root type: ip address replace 10.8.0.2/24 dev {TAP}")

    def test_a_device_in_another_namespace_is_left_alone(self, bed: Bed) -> None:
        bed.ledger.want((OWN, HALF))
        bed.system.delete_device(TAP)
        assert bed.ledger.want((OWN, HALF)) == []
        assert bed.ledger.undo_all() == []

    def test_there_is_a_bound(self, bed: Bed) -> None:
        many = [
            Route(f"10.{number // 250}.{number % 250}.0/24") for number in range(MAX_CHANGES + 2)
        ]
        assert len(bed.ledger.want(many)) == 2
        assert len(bed.routes()) == MAX_CHANGES

    def test_what_cannot_be_undone_is_said(self, bed: Bed) -> None:
        bed.ledger.want((NameServers(("10.8.0.1",)),))
        bed.machine.resolv_conf.write_text("nameserver 9.9.9.9\n")
        (failure,) = bed.ledger.want(())
        assert "was changed meanwhile" in str(failure)


class TestPins:
    def test_the_server_is_reached_by_the_way_of_before(self, bed: Bed) -> None:
        bed.ledger.pin(SERVER)
        bed.ledger.pin("2001:db8::5")
        bed.ledger.want((OWN, HALF, OTHER_HALF))
        assert bed.routes()[:2] == [(SERVER, "192.168.5.1"), ("2001:db8::5", "fd05::1")]

    def test_another_gateway_pins_it_again(self, bed: Bed) -> None:
        bed.ledger.want((OWN, HALF, OTHER_HALF))
        bed.ledger.pin(SERVER)
        bed.system.routes = [each for each in bed.system.routes if each.get("dev") != "eth0"]
        bed.system.addresses["wlan0"] = ["172.20.0.9/24"]
        bed.system.add_route("default", "wlan0", gateway="172.20.0.1", prefsrc="172.20.0.9")
        bed.ledger.pin(SERVER)
        assert (SERVER, "172.20.0.1") in bed.routes()
        assert bed.ledger.undo_all() == []
        assert bed.routes() == []

    def test_without_any_way_the_vpn_is_none_either(self, bed: Bed) -> None:
        bed.ledger.want((OWN, HALF, OTHER_HALF))
        bed.system.routes = [each for each in bed.system.routes if each.get("dev") != "eth0"]
        bed.ledger.pin(SERVER)
        assert (SERVER, "unreachable") in bed.routes()

    def test_a_route_to_just_that_address_is_enough(self, bed: Bed) -> None:
        bed.system.add_route(SERVER, "eth0", gateway="192.168.5.9")
        assert bed.ledger.pin(SERVER) == []
        assert bed.routes() == []

    def test_a_gateway_that_is_near_by_decree_stays_so(self, bed: Bed) -> None:
        bed.system.routes.clear()
        bed.system.add_route("default", "eth0", gateway="172.31.1.1", flags=["onlink"])
        assert bed.ledger.pin(SERVER) == []
        assert bed.routes() == [(SERVER, "172.31.1.1")]

    def test_a_cable_that_is_pulled_counts_less(self, bed: Bed) -> None:
        bed.system.routes.clear()
        bed.system.add_route("default", TAP)
        bed.system.add_route("default", "eth0", gateway="192.168.5.1", flags=["linkdown"])
        bed.system.addresses["wlan0"] = ["172.20.0.9/24"]
        bed.system.add_route("default", "wlan0", gateway="172.20.0.1", metric=600)
        bed.ledger.pin(SERVER)
        assert bed.routes() == [(SERVER, "172.20.0.1")]

    def test_only_those_that_are_kept_stay(self, bed: Bed) -> None:
        for address in (SERVER, "203.0.113.6"):
            bed.ledger.pin(address)
        bed.ledger.unpin((SERVER,))
        assert bed.routes() == [(SERVER, "192.168.5.1")]

    def test_there_is_a_bound(self, bed: Bed) -> None:
        for number in range(MAX_PINS + 3):
            bed.ledger.pin(f"203.0.113.{number + 1}")
        assert len(bed.routes()) == MAX_PINS
        assert bed.routes()[0][0] == "203.0.113.4"


class TestAfterKill:
    @pytest.fixture(autouse=True)
    def killed(self, bed: Bed) -> None:
        bed.ledger.pin(SERVER)
        bed.ledger.want(SOME)

    def test_the_journal_undoes_everything(self, bed: Bed) -> None:
        assert undo_left(bed.machine, bed.directory) == [
            f"{TAP}: undone what a killed client had left"
        ]
        assert bed.state() == bed.before

    def test_nor_is_a_device_that_has_the_name_now_touched(self, bed: Bed) -> None:
        bed.system.delete_device(TAP)
        bed.system.addresses["eth1"] = []
        bed.system.addresses[TAP] = ["10.8.0.2/24"]
        undo_left(bed.machine, bed.directory)
        assert bed.system.addresses[TAP] == ["10.8.0.2/24"]
        assert bed.routes() == []

    def test_a_client_that_runs_is_left_alone(self, bed: Bed) -> None:
        held = Lock.take(bed.place)
        assert held is not None
        assert undo_left(bed.machine, bed.directory) == []
        assert undo_left_of_gone(bed.machine, bed.directory) == [
            f"{TAP}: its client runs, so nothing is undone"
        ]
        assert (SERVER, "192.168.5.1") in bed.routes()
        held.release()

    def test_a_lock_without_a_journal_goes_without_a_word(self, bed: Bed) -> None:
        bed.ledger.undo_all()
        gone = bed.place.lock.with_name(f"{TAP}.1-1.lock")
        for file in (bed.place.lock, gone):
            file.touch()
        assert undo_left(bed.machine, bed.directory) == []
        assert undo_left_of_gone(bed.machine, bed.directory) == []
        assert bed.state() == bed.before

    def test_what_was_changed_since_stays(self, bed: Bed) -> None:
        bed.machine.resolv_conf.write_text("nameserver 9.9.9.9\n")
        bed.system.routes = [each for each in bed.system.routes if each["dst"] != SERVER]
        bed.system.add_route(SERVER, "eth0", gateway="192.168.5.99")
        _, said = undo_left(bed.machine, bed.directory)
        assert "was changed meanwhile, so it stays as it is" in said
        assert bed.machine.resolv_conf.read_text() == "nameserver 9.9.9.9\n"
        assert bed.system.routes[-1]["gateway"] == "192.168.5.99"

    @pytest.mark.parametrize(
        "text",
        [
            *("{", "[]", '{"deeds": 5}', '{"deeds": ["x"]}', '{"deeds": ' + 100_000 * "["),
            '{"deeds": [{"deed": "RouteDeed", "destination": 5, "device": 7}]}',
            '{"deeds": [{"deed": "ResolvConfDeed", "path": 5, "servers": [], "was_there": true}]}',
        ],
        ids=lambda text: text[:40],
    )
    def test_a_journal_that_is_none_is_named(self, bed: Bed, text: str) -> None:
        bed.place.path.write_text(text)
        with pytest.raises(JournalError):
            journal.read(bed.place)
        (line,) = [each for each in undo_left(bed.machine, bed.directory) if TAP in each]
        assert "cannot be read" in line

    def test_a_journal_of_another_user_is_not_followed(
        self, bed: Bed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        (line,) = [each for each in undo_left(bed.machine, bed.directory) if TAP in each]
        assert "it is another user's" in line
        assert (SERVER, "192.168.5.1") in bed.routes()

    def test_a_namespace_that_is_gone_has_left_files_only(self, bed: Bed) -> None:
        bed.place.path.rename(bed.place.path.with_name(f"{TAP}.1-1.journal"))
        assert undo_left(bed.machine, bed.directory) == []
        undo_left_of_gone(bed.machine, bed.directory)
        assert bed.machine.resolv_conf.read_text() == "nameserver 192.168.5.1\n"
        assert (SERVER, "192.168.5.1") in bed.routes()

    def test_one_that_is_not_gone_is_named(self, bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("vpnws.client.janitor.left.is_gone", lambda _: False)
        bed.place.path.rename(bed.place.path.with_name(f"{TAP}.1-1.journal"))
        assert undo_left_of_gone(bed.machine, bed.directory) == [
            f"{TAP} is of another network namespace: run vpnws-client clean there"
        ]
        assert (SERVER, "192.168.5.1") in bed.routes()

    def test_a_client_that_runs_in_another_namespace_is_not_spoken_of(
        self, bed: Bed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("vpnws.client.janitor.left.is_gone", lambda _: False)
        bed.place.path.rename(bed.place.path.with_name(f"{TAP}.1-1.journal"))
        (place,) = places(bed.directory)
        held = Lock.take(place)
        assert held is not None
        assert undo_left_of_gone(bed.machine, bed.directory) == []
        held.release()

    def test_a_power_failure_has_left_the_file_and_no_journal(self, bed: Bed) -> None:
        bed.place.path.unlink()
        assert undo_left(bed.machine, bed.directory) == [f"{bed.machine.resolv_conf}: restored"]
        assert bed.machine.resolv_conf.read_text() == "nameserver 192.168.5.1\n"


@settings(max_examples=40)
@given(
    steps=st.lists(
        st.one_of(
            st.lists(st.sampled_from(SOME), unique=True),
            st.sampled_from((SERVER, "2001:db8::5", "203.0.113.6")),
        ),
        max_size=6,
    ),
    is_killed=st.booleans(),
)
def test_whatever_was_done_nothing_is_left(
    steps: list[list[Change] | str], is_killed: bool
) -> None:
    with TemporaryDirectory() as directory:
        bed = Bed(Path(directory))
        for step in steps:
            if isinstance(step, str):
                bed.ledger.pin(step)
            else:
                bed.ledger.want(step)
        if is_killed:
            undo_left(bed.machine, bed.directory)
        else:
            bed.ledger.undo_all()
        assert bed.state() == bed.before


class TestWhatIsAskedFor:
    @pytest.mark.parametrize("change", [*SOME, Pin(SERVER)], ids=str)
    def test_it_crosses(self, change: Change) -> None:
        assert changes.read(changes.tell(change)) == change

    @pytest.mark.parametrize(
        "data",
        [
            None,
            [],
            {"kind": "Shell", "command": "reboot"},
            {"kind": "Route"},
            {"kind": "Route", "destination": "10.9.0.0/16; reboot", "gateway": ""},
            {"kind": "Route", "destination": "10.9.0.0/16", "gateway": "fd08::1"},
            {"kind": "Route", "destination": "10.9.0.0/16", "gateway": "dev"},
            {"kind": "Route", "destination": 5, "gateway": ""},
            {"kind": "Address", "cidr": 5},
            {"kind": "Address", "cidr": "10.8.0.2/24 dev eth0"},
            {"kind": "Mtu", "mtu_bytes": True},
            {"kind": "Mtu", "mtu_bytes": -1},
            {"kind": "Switch", "name": "../../kernel/core_pattern", "value": 1},
            {"kind": "NameServers", "servers": []},
            {"kind": "NameServers", "servers": ["10.8.0.1\nnameserver 6.6.6.6"]},
            {"kind": "NameServers", "servers": ["fe80::1%eth0\nnameserver 6.6.6.6"]},
            {"kind": "NameServers", "servers": [5]},
            {"kind": "Address", "cidr": "fe80::1%a b/64"},
            {"kind": "Route", "destination": "fd08::/64", "gateway": "fe80::1%a\nb"},
            {"kind": "Pin", "address": "fe80::1%eth0"},
            {"kind": "Pin", "address": "ff02::1"},
        ],
        ids=str,
    )
    def test_what_makes_no_sense_is_refused(self, data: object) -> None:
        with pytest.raises(ValueError, match=r"."):
            changes.read(data)
