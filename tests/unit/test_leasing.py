"""Addresses for stations, in a whole server of two workers that share the file of leases."""

from __future__ import annotations

import logging
import sqlite3
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from tests.fakes.house import House
from tests.support.frames import mac
from vpnws.config_reader import read_settings
from vpnws.errors import ConfigError
from vpnws.server.hooks.lease_keeper import CHECKPOINT_EVERY_S
from vpnws.server.lease_setup import path_of
from vpnws.server.leasing import LOOK_EVERY_S as LOOK_S
from vpnws.server.once import FOLD_S, LOOK_EVERY_S, MAX_SENTENCES, Once
from vpnws.server.peers.leases import RETRY_S
from vpnws.server.web.client_vars import read_client_vars
from vpnws.wire.ethernet import format_mac
from vpnws.wire.offer import Offer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.station import Station

LEASE_S = 60


def make(tmp_path: Path, pool: str = "10.8.0.0/24", **settings: str) -> House:
    leases = str(tmp_path / "leases.db")
    return House(settings={"pool": pool, "leases": leases, "lease-time": str(LEASE_S), **settings})


def join(
    house: House, number: int = 1, worker: int = 1, network: str = "", **variables: str
) -> Station:
    """Connect a station with the MAC of `number` that can read texts."""
    variables.setdefault("HTTP_X_VPN_WS_MAC", format_mac(mac(number)))
    return house.connect(worker, network=network, offload=True, **variables)  # type: ignore[arg-type]


def address_of(station: Station) -> str:
    """Return the one address that a station was offered."""
    (offer,) = station.offers()
    (address,) = offer.address
    return address


def events(house: House, name: str, worker: int = 1) -> list[str]:
    journal = house.processes[worker].node.journal
    return [event.text for event in journal.after(0) if event.name == name]


class TestLeases:
    def test_are_offered_with_all_else_and_kept_over_reconnects_workers_and_reloads(
        self, tmp_path: Path
    ) -> None:
        with make(tmp_path, "10.8.0.0/24 fd00::/64 blue:10.9.0.0/24") as house:
            station = join(
                house,
                REMOTE_USER="alice",
                VPNWS_CLIENT_ROUTES="10.1.0.0/16 via 10.8.0.1, fd01::/48",
                VPNWS_CLIENT_DNS="10.8.0.1",
                VPNWS_CLIENT_MTU="1400",
                VPNWS_CLIENT_NOTICE="Maintenance at 22:00",
            )
            (offer,) = station.offers()
            first = offer.address
            assert [address.partition("/")[2] for address in first] == ["24", "64"]
            assert offer == Offer(
                first,
                ("10.1.0.0/16 via 10.8.0.1", "fd01::/48"),
                ("10.8.0.1",),
                mtu=1400,
                lease_s=LEASE_S,
                notice="Maintenance at 22:00",
            )
            station.hang_up()
            again = join(house, worker=2, REMOTE_USER="alice")
            assert again.offers() == [Offer(first, lease_s=LEASE_S)]
            house.reload_all()
            assert again.close_code == 1012
            after = join(house, worker=2, REMOTE_USER="alice")
            assert after.offers()[0].address == first
            elsewhere = join(house, network="blue", REMOTE_USER="alice")
            assert address_of(elsewhere).startswith("10.9.0.")
            assert join(house, network="red").offers() == []

    def test_are_never_given_twice_and_freed_in_time(self, tmp_path: Path) -> None:
        with make(tmp_path, "10.8.0.0/29") as house:
            stations = [join(house, number, 1 + number % 2) for number in range(1, 7)]
            assert len({address_of(station) for station in stations}) == 6
            late = join(house, 7)
            (notice,) = late.notices()
            assert notice.startswith("there is no address for this station: all addresses of ")
            assert events(house, "no_address") == [notice.partition(": ")[2]]
            freed = address_of(stations[0])
            stations[0].hang_up()
            house.loop.advance(LEASE_S)
            assert join(house, 8).offers()[0].address == ()
            house.loop.advance(LOOK_S)
            assert address_of(join(house, 9)) == freed

    def test_no_station_that_has_gone_already_gets_one(self, tmp_path: Path) -> None:
        with make(tmp_path) as house:
            station, process = join(house), house.processes[1]
            (link,) = process.node.links.values()
            station.hang_up()
            house.loop.advance(LOOK_S)
            offers, leasing = process.application._offers, process.node.leasing
            assert offers is not None
            assert leasing is not None
            offers.greet(link)
            assert [row.port for row in leasing.leases.rows(None, 9)] == [0]

    def test_no_plain_station_and_no_bridge_gets_any(self, tmp_path: Path) -> None:
        with make(tmp_path) as house:
            plain = house.connect(
                1, HTTP_X_VPN_WS_MAC=format_mac(mac(1)), VPNWS_CLIENT_ADDRESS="10.8.0.9/24"
            )
            assert plain.controls == []
            bridge = join(house, 2, HTTP_X_VPN_WS_BRIDGE="on", VPNWS_BRIDGE="on")
            assert bridge.offers() == []
            nobody = house.connect(1, offload=True)
            assert "has not announced any" in nobody.notices()[0]

    def test_of_a_worker_that_was_killed_are_kept_and_then_freed(self, tmp_path: Path) -> None:
        with make(tmp_path, "10.8.0.0/32") as house:
            first = address_of(join(house, 1, 1))
            house.kill(1)
            house.start(1)
            house.loop.advance(2.0)
            assert join(house, 2, 2).offers()[0].address == ()
            assert address_of(join(house, 1, 2)) == first
            house.loop.advance(LEASE_S + 2.0)
            assert join(house, 2, 1).offers()[0].address == (), "its port is still here"

    def test_no_station_gets_the_servers_own_address_or_a_fixed_one(self, tmp_path: Path) -> None:
        fixed = tmp_path / "fixed"
        fixed.write_text("10.8.0.2 user alice\n10.8.0.3 nobody\n")
        with House(
            tap="vpn0",
            settings={
                "pool": "10.8.0.0/29",
                "leases": str(tmp_path / "leases.db"),
                "fixed": str(fixed),
            },
        ) as house:
            house.devices.addresses["vpn0"] = [ip_address("10.8.0.1").packed]
            house.reload_all()
            given = {address_of(join(house, number)) for number in range(1, 4)}
            assert given == {f"10.8.0.{number}/29" for number in (4, 5, 6)}
            assert join(house, 4).offers()[0].address == ()
            assert address_of(join(house, 5, REMOTE_USER="alice")) == "10.8.0.2/29"

    def test_a_router_that_stations_cannot_reach_is_named(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings = {"pool": "10.8.0.0/24 red:10.9.0.0/24", "mode": "router"}
        with House(
            tap="vpn0", settings={**settings, "leases": str(tmp_path / "leases.db")}
        ) as house:
            said = [text for text in caplog.messages if "do not reach this router" in text]
            assert len(said) == 1
            assert "vpn0 has no address there" in said[0]
            assert "(ip address add 10.8.0.1/24 dev $VPNWS_TAP)" in said[0]
            caplog.clear()
            house.devices.addresses["vpn0"] = [ip_address("10.8.0.254").packed]
            house.reload_all()
            assert not any("do not reach" in text for text in caplog.messages)

    def test_a_wrong_file_of_fixed_addresses_stops_the_start(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        fixed = tmp_path / "fixed"
        for write, says in (
            (lambda: None, "cannot be read: No such file"),
            (lambda: fixed.write_text("10.8.0.7 alice"), "line 1: '10.8.0.7 alice' is not"),
            (lambda: fixed.write_bytes(b"\xff"), "is not text in UTF-8"),
            (lambda: fixed.write_bytes(b"#" * 1_000_001), "is longer than"),
        ):
            write()
            with pytest.raises(SystemExit):
                make(tmp_path, fixed=str(fixed))
            assert says in caplog.messages[-1]

    def test_a_file_that_cannot_be_used_keeps_no_station_out(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        folder = tmp_path / "closed"
        folder.mkdir(mode=0o500)
        with make(folder) as house:
            for number in range(1, 4):
                (notice,) = join(house, number).notices()
                assert "Permission denied" in notice
            said = [text for text in caplog.messages if "Permission denied" in text]
            assert len(said) == 2, "one line of each worker"
            folder.chmod(0o700)
            house.loop.advance(RETRY_S + 1.0)
            assert address_of(join(house, 4)).startswith("10.8.0.")

    def test_a_file_of_another_version_is_put_aside_and_said(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with make(tmp_path) as house:
            address = address_of(join(house))
        with sqlite3.connect(tmp_path / "leases.db") as connection:
            connection.execute("PRAGMA user_version = 7")
        connection.close()
        with make(tmp_path) as house:
            assert address_of(join(house)) == address, "a station has its own place in the pool"
        assert (tmp_path / "leases.db.unusable").exists()
        assert any("version 7, and this vpnws has 1: it is" in text for text in caplog.messages)

    def test_a_file_that_is_removed_is_written_again_from_who_is_here(self, tmp_path: Path) -> None:
        with make(tmp_path) as house:
            addresses = [address_of(join(house, number, 1 + number % 2)) for number in (1, 2, 3)]
            for end in ("", "-wal", "-shm"):
                (tmp_path / f"leases.db{end}").unlink()
            house.loop.advance(2.0)
            rows = house.processes[1].node.leasing.leases.rows(None, 9)  # type: ignore[union-attr]
            assert sorted(f"{row.address}/24" for row in rows if row.port) == sorted(addresses)

    def test_who_leaves_while_the_table_is_held_is_noted_later(self, tmp_path: Path) -> None:
        with make(tmp_path, "10.8.0.0/32") as house:
            station = join(house, 1)
            assert address_of(station)
            holder = sqlite3.connect(tmp_path / "leases.db", isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            station.hang_up()
            house.loop.advance(LOOK_S)
            assert any("another process has held" in text for text in events(house, "no_address"))
            holder.close()
            house.loop.advance(LEASE_S + 3.0)
            assert address_of(join(house, 2)) == "10.8.0.0/32"


class TestClientVars:
    def test_that_are_wrong_are_left_out_and_told_once(self, tmp_path: Path) -> None:
        addresses = "10.8.0.7/24, 10.8.0.0/24, 10.8.0.9, <b>"
        with House() as house:
            for number in (1, 2):
                station = join(house, number, VPNWS_CLIENT_ADDRESS=addresses, VPNWS_CLIENT_MTU="9")
                assert station.status.startswith("101")
                assert station.offers() == [Offer(("10.8.0.7/24",))]
            said = events(house, "client_var")
            assert len(said) == 4
            assert "VPNWS_CLIENT_ADDRESS has '10.8.0.0/24', which is not an address" in said[0]
            assert "VPNWS_CLIENT_MTU = '9' is not a number from 68 to 65521" in said[3]

    def test_one_that_is_misspelt_is_refused_as_any_other(self) -> None:
        with House() as house:
            assert join(house, VPNWS_CLIENT_ADRESS="10.8.0.7/24").status.startswith("500")

    def test_an_address_of_the_pool_is_leased_to_its_station(self, tmp_path: Path) -> None:
        with make(tmp_path, "10.8.0.0/31") as house:
            join(house, 1, VPNWS_CLIENT_ADDRESS="10.8.0.1/31")
            assert address_of(join(house, 2)) == "10.8.0.0/31"
            rival = join(house, 3, VPNWS_CLIENT_ADDRESS="10.8.0.1/31")
            assert address_of(rival) == "10.8.0.1/31"
            (said,) = events(house, "client_var")
            assert "the pool has leased it to another station" in said

    @pytest.mark.parametrize(
        ("variables", "offer", "faults"),
        [
            ({"VPNWS_CLIENT_ROUTES": ""}, Offer(), 0),
            (
                {"VPNWS_CLIENT_ROUTES": " 10.0.0.0/8 ,, 10.0.0.0/8"},
                Offer(routes=("10.0.0.0/8",)),
                0,
            ),
            ({"VPNWS_CLIENT_ROUTES": "10.0.0.0/8 via fe80::1%eth0"}, Offer(), 1),
            ({"VPNWS_CLIENT_DNS": "10.8.0.1,dns.example"}, Offer(dns=("10.8.0.1",)), 1),
            ({"VPNWS_CLIENT_MTU": "1400x"}, Offer(), 1),
            ({"VPNWS_CLIENT_MTU": "9" * 99}, Offer(), 1),
            (
                {"VPNWS_CLIENT_NOTICE": "a\nb" + "c" * 999},
                Offer(notice="a?b" + "c" * 397 + "..."),
                0,
            ),
            ({"VPNWS_CLIENT_ADDRESS": ",".join(f"10.8.0.{n}/24" for n in range(1, 10))}, None, 1),
            ({"VPNWS_CLIENT_ADDRESS": "10.8.0.0/24," * 30}, Offer(), 8),
            ({"VPNWS_CLIENT_ADDRESS": "127.0.0.1/8,224.0.0.1/4,10.8.0.255/24"}, Offer(), 3),
        ],
    )
    def test_are_read(self, variables: dict[str, str], offer: Offer | None, faults: int) -> None:
        read, wrong = read_client_vars(variables)
        assert offer in (None, read)
        assert len(wrong) == faults
        assert len(read.address) <= 8


def test_a_sentence_is_said_once_and_then_with_its_count() -> None:
    with House() as house:
        said: list[tuple[str, int]] = []
        once = Once(house.loop, lambda _, sentence, count: said.append((sentence, count)))
        for _ in range(3):
            once.note("a")
        for number in range(MAX_SENTENCES):
            once.note(str(number))
        assert said == [("a", 1), *((str(number), 1) for number in range(MAX_SENTENCES - 1))]
        said.clear()
        house.loop.advance(FOLD_S + LOOK_EVERY_S)
        assert said == [("a", 2)]


def test_the_process_for_hooks_writes_the_table_back(tmp_path: Path) -> None:
    with make(tmp_path) as house:
        join(house)
        before = (tmp_path / "leases.db").read_bytes()
        house.loop.advance(CHECKPOINT_EVERY_S + 1.0)
        assert (tmp_path / "leases.db").read_bytes() != before


@pytest.mark.parametrize(
    ("settings", "environment", "path"),
    [
        ({"leases": "/a/b", "socket": "/run/x.sock"}, {"STATE_DIRECTORY": "/var/lib/v"}, "/a/b"),
        ({"socket": "/run/v/x.sock"}, {"STATE_DIRECTORY": "/s/v:/s/w"}, "/s/v/x.leases.db"),
        ({"socket": "/run/v/x.sock"}, {}, "/run/v/x.leases.db"),
        ({"socket": ""}, {"STATE_DIRECTORY": "/s"}, "/s/vpnws.leases.db"),
    ],
)
def test_the_file_is_where_the_server_may_write(
    settings: dict[str, str], environment: dict[str, str], path: str
) -> None:
    options = {f"vpnws-{name}": text for name, text in settings.items()}
    made = read_settings({**options, "vpnws-pool": "10.8.0.0/24"})
    assert path_of(made, environment) == path


def test_a_server_without_a_socket_has_to_be_told_where_its_file_is() -> None:
    with pytest.raises(ConfigError, match="set vpnws-leases to a path"):
        path_of(read_settings({"vpnws-pool": "10.8.0.0/24"}), {})


def test_who_sets_the_clock_while_the_server_runs_frees_no_address(tmp_path: Path) -> None:
    with make(tmp_path, "10.8.0.0/32") as house:
        assert address_of(join(house, 1))
        house.stations[0].hang_up()
        house.loop.advance(LOOK_S)
        house.loop.world.set_ahead_s = 1e6
        assert join(house, 2).offers()[0].address == ()
        house.loop.world.set_ahead_s = -1e6
        house.loop.advance(LEASE_S)
        assert address_of(join(house, 3))
