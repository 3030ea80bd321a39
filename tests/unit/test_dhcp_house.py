"""DHCP in a whole server of two workers: plain stations lease of the pool of all others."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.house import House
from tests.support.frames import ARP_REPLY, DISCOVER, dhcp, mac
from tests.support.told_frames import BROADCAST, asks_arp
from vpnws.config_reader import read_settings
from vpnws.dhcp.server import MAC
from vpnws.errors import ConfigError
from vpnws.lease.leases import DECLINED_S, MAX_DECLINED
from vpnws.server.dhcp import QUESTIONS_PER_S
from vpnws.server.leasing import MAX_NEW
from vpnws.switch.drop import Drop
from vpnws.switch.known import REPLACE_IDLE_S
from vpnws.wire.dhcp import BOOTREQUEST, NO_IP, Kind, Message, Option, Way
from vpnws.wire.dhcp_frame import ALL, Ends, unwrap, wrap
from vpnws.wire.dhcp_routes import routes_of
from vpnws.wire.discovery import read_arp
from vpnws.wire.ethernet import format_mac
from vpnws.wire.headers import Headers
from vpnws.wire.records import VNET_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.station import Station

LEASE_S = 60


def make(tmp_path: Path, pool: str = "10.8.0.0/24", **settings: Any) -> House:
    more = settings.pop("settings", {})
    leases = str(tmp_path / "leases.db")
    given = {"pool": pool, "dhcp": "on", "leases": leases, "lease-time": str(LEASE_S), **more}
    return House(settings=given, **settings)


def join(house: House, number: int = 1, worker: int = 1, **more: Any) -> Station:
    """Connect a plain station, or one of another kind, with the MAC of `number`."""
    more.setdefault("HTTP_X_VPN_WS_MAC", format_mac(mac(number)))
    return house.connect(worker, **more)


def ask(
    station: Station, kind: Kind, number: int = 1, ip: str = "", **options: Any
) -> Message | None:
    """Have a station send a message of DHCP, and return the answer."""
    packed = ip_address(ip).packed if ip else NO_IP
    given: dict[int, bytes] = {}
    if kind in (Kind.REQUEST, Kind.DECLINE) and ip:
        given = {int(Option.REQUESTED_IP): packed}
    ciaddr = packed if kind in (Kind.RELEASE, Kind.INFORM) else NO_IP
    given |= {int(Option[name]): value for name, value in options.items()}
    message = Message(BOOTREQUEST, kind, 7, mac(number), ciaddr=ciaddr, options=given)
    station.send(wrap(message, Way.TO_SERVER, Ends(mac(number), ciaddr)))
    answers = [unwrap(frame) for frame in station.received()]
    found = [each.message for each in answers if each is not None and each.way is Way.TO_CLIENT]
    return found[0] if found else None


def offered(station: Station, number: int = 1) -> str:
    """Return the address that a station is offered."""
    answer = ask(station, Kind.DISCOVER, number)
    assert answer is not None
    assert answer.kind == Kind.OFFER
    return str(ip_address(answer.yiaddr))


def heard(house: House) -> list[bytes]:
    """Return the frames that the machine has got from its TAP."""
    frames = []
    while True:
        try:
            frames.append(house.devices.opened("vpn0").host_receive()[VNET_BYTES:])
        except TimeoutError:
            return frames


class TestAPlainStation:
    def test_leases_by_dhcp_what_it_keeps_over_workers_and_reconnects(self, tmp_path: Path) -> None:
        with make(tmp_path) as house:
            station, other = join(house), join(house, 2)
            address = offered(station)
            ack = ask(station, Kind.REQUEST, ip=address)
            assert ack is not None
            assert ack.kind == Kind.ACK
            assert ack.number(Option.LEASE_S) == LEASE_S
            assert ack.options[Option.SUBNET_MASK] == bytes((255, 255, 255, 0))
            assert ack.ip(Option.SERVER_ID) == ip_address("10.8.0.1").packed
            assert offered(other, 2) != address
            station.leave()
            house.loop.settle()
            again = join(house, worker=2)
            ack = ask(again, Kind.REQUEST, ip=address)
            assert ack is not None
            assert ack.kind == Kind.ACK

    def test_and_our_client_of_the_same_machine_have_the_same_address(self, tmp_path: Path) -> None:
        with make(tmp_path) as house:
            station = join(house, offload=True)
            (offer,) = station.offers()
            assert offer.address == (f"{offered(station)}/24",)

    def test_is_told_what_the_web_server_says(self, tmp_path: Path) -> None:
        with make(tmp_path) as house:
            station = join(
                house,
                VPNWS_CLIENT_ADDRESS="10.8.0.77/24,fd00::77/64",
                VPNWS_CLIENT_ROUTES="10.1.0.0/16 via 10.8.0.1,fd01::/48,0.0.0.0/0 via 10.8.0.254",
                VPNWS_CLIENT_DNS="10.8.0.1,fd00::1",
                VPNWS_CLIENT_MTU="1400",
            )
            assert offered(station) == "10.8.0.77"
            ack = ask(station, Kind.REQUEST, ip="10.8.0.77")
            assert ack is not None
            assert ack.short(Option.MTU) == 1400
            assert ack.options[Option.DNS] == bytes((10, 8, 0, 1))
            assert ack.options[Option.ROUTERS] == bytes((10, 8, 0, 254))
            shown = [(str(route.network), str(route.router)) for route in routes_of(ack)]
            assert shown == [("10.1.0.0/16", "10.8.0.1"), ("0.0.0.0/0", "10.8.0.254")]
            inform = ask(station, Kind.INFORM, ip="10.8.0.77")
            assert inform is not None
            assert inform.options[Option.DNS] == bytes((10, 8, 0, 1))
            nak = ask(station, Kind.REQUEST, ip="10.8.0.78")
            assert nak is not None
            assert nak.kind == Kind.NAK

    def test_has_what_the_web_server_gives_it_and_nobody_else_has(self, tmp_path: Path) -> None:
        with make(tmp_path, "10.8.0.10-10.8.0.11/24") as house:
            station = join(house, VPNWS_CLIENT_ADDRESS="10.8.0.10/24")
            others = [join(house, number) for number in (2, 3)]
            assert offered(others[0], 2) == "10.8.0.11"
            assert ask(others[1], Kind.DISCOVER, 3) is None
            assert offered(station) == "10.8.0.10"

    def test_that_gives_its_address_up_makes_room_at_once(self, tmp_path: Path) -> None:
        with make(tmp_path, "10.8.0.10-10.8.0.10/24") as house:
            station, other = join(house), join(house, 2)
            address = offered(station)
            assert ask(other, Kind.DISCOVER, 2) is None
            assert ask(station, Kind.RELEASE, ip=address) is None
            assert offered(other, 2) == address

    def test_that_finds_its_address_in_use_gets_another(self, tmp_path: Path) -> None:
        with make(tmp_path, "10.8.0.10-10.8.0.11/24") as house:
            station = join(house)
            first = offered(station)
            assert ask(station, Kind.DECLINE, ip=first) is None
            second = offered(station)
            assert second != first
            house.loop.advance(DECLINED_S + 1)
            assert ask(station, Kind.REQUEST, ip=first) is not None

    def test_cannot_use_a_pool_up_by_declining(self, tmp_path: Path) -> None:
        with make(tmp_path) as house:
            station, other = join(house), join(house, 2)
            for _ in range(MAX_DECLINED + 20):
                ask(station, Kind.DECLINE, ip=offered(station))
                # No more questions are answered, and no more new addresses given.
                house.loop.advance(LEASE_S / (1 + MAX_NEW) + 1.0)
            leases = house.processes[1].node.leasing
            assert leases is not None
            assert len(leases.leases.rows(None, 100)) == MAX_DECLINED
            assert offered(other, 2)


class TestAHostileStation:
    def test_cannot_use_a_pool_up_with_ever_new_macs(self, tmp_path: Path) -> None:
        with make(tmp_path) as house:
            thief, got = house.connect(1), set()
            for number in range(100, 130):
                answer = ask(thief, Kind.DISCOVER, number)
                got |= {answer.yiaddr} if answer is not None else set()
                # Its port learns another MAC only then, since its limit is one.
                house.loop.advance(REPLACE_IDLE_S)
            per_lease_time = 1 + MAX_NEW
            passed_s = 30 * REPLACE_IDLE_S
            assert len(got) <= per_lease_time * (1 + passed_s / LEASE_S)
            journal = house.processes[1].node.journal
            assert any("for ever new MACs" in event.text for event in journal.after(0))
            offered(join(house, 1))

    def test_is_answered_so_many_questions_in_a_second_and_others_theirs(
        self, tmp_path: Path
    ) -> None:
        with make(tmp_path) as house:
            station, other = join(house, 1), join(house, 2)
            answers = [ask(station, Kind.DISCOVER) for _ in range(50)]
            assert sum(each is not None for each in answers) == 1 + QUESTIONS_PER_S
            port = next(iter(house.processes[1].node.links.values())).port
            assert port.drops[Drop.STORM] == 50 - (1 + QUESTIONS_PER_S)
            offered(other, 2)
            house.loop.advance(1.0)
            offered(station)

    def test_cannot_give_up_what_others_have(self, tmp_path: Path) -> None:
        with make(tmp_path, "10.8.0.2-10.8.0.2/24") as house:
            owner, thief = (join(house, number, REMOTE_USER="alice") for number in (1, 2))
            address = offered(owner)
            ask(thief, Kind.RELEASE, 2, address)
            ask(thief, Kind.DECLINE, 2, address)
            assert ask(thief, Kind.DISCOVER, 2) is None
            answer = ask(owner, Kind.REQUEST, 1, address)
            assert answer is not None
            assert answer.kind == Kind.ACK


class TestWhoHears:
    def test_nobody_else_of_what_a_station_asks(self, tmp_path: Path) -> None:
        with make(tmp_path, tap="vpn0") as house:
            stations = [join(house, number, worker) for number, worker in ((1, 1), (2, 1), (3, 2))]
            stations[0].send(dhcp(DISCOVER, mac(1), macs=BROADCAST + mac(1)))
            assert [len(each.received()) for each in stations] == [1, 0, 0]
            assert heard(house) == []

    def test_a_lan_has_its_own_server(self, tmp_path: Path) -> None:
        with make(tmp_path, tap="vpn0") as house:
            station = join(house)
            asked = dhcp(DISCOVER, mac(9), macs=BROADCAST + mac(9))
            house.devices.opened("vpn0").host_send(bytes(VNET_BYTES) + asked)
            house.loop.settle()
            assert heard(house) == []
            assert len(station.received()) == 1

    def test_a_network_without_a_pool_is_a_lan_as_ever(self, tmp_path: Path) -> None:
        with make(tmp_path) as house:
            station, other = join(house, network="blue"), join(house, 2, network="blue")
            station.send(dhcp(DISCOVER, mac(1), macs=BROADCAST + mac(1)))
            assert station.received() == []
            assert len(other.received()) == 1

    def test_without_the_setting_nobody_is_answered(self, tmp_path: Path) -> None:
        with make(tmp_path, settings={"dhcp": "off"}) as house:
            station, other = join(house), join(house, 2)
            station.send(dhcp(DISCOVER, mac(1), macs=BROADCAST + mac(1)))
            assert station.received() == []
            assert len(other.received()) == 1


class TestTheServersAddress:
    def test_is_the_first_of_the_pool_and_found_by_arp(self, tmp_path: Path) -> None:
        with make(tmp_path, "10.8.0.0/29") as house:
            station = join(house)
            station.send(asks_arp(mac(1), "10.8.0.2", "10.8.0.1"))
            (frame,) = station.received()
            arp = read_arp(Headers(frame, 0, len(frame)))
            assert arp is not None
            assert (arp.operation, arp.sender_mac) == (ARP_REPLY, MAC)
            # Six hosts, and one of them is the server.
            given = {offered(join(house, number), number) for number in range(2, 7)}
            assert given == {f"10.8.0.{number}" for number in range(2, 7)}

    def test_renews_a_lease(self, tmp_path: Path) -> None:
        with make(tmp_path) as house:
            station = join(house)
            ip = ip_address(offered(station)).packed
            message = Message(BOOTREQUEST, Kind.REQUEST, 9, mac(1), ciaddr=ip)
            to = Ends(mac(1), ip, MAC, ip_address("10.8.0.1").packed)
            station.send(wrap(message, Way.TO_SERVER, to))
            (frame,) = station.received()
            got = unwrap(frame)
            assert got is not None
            assert (got.message.kind, got.ends.ip) == (Kind.ACK, ip)
            assert got.ends.ip != ALL

    def test_is_the_taps_where_there_is_one(self, tmp_path: Path) -> None:
        with make(tmp_path, tap="vpn0") as house:
            station = join(house)
            station.send(asks_arp(mac(1), "10.8.0.2", "10.8.0.1"))
            assert station.received() == []
            assert offered(station)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"dhcp": "on"}, "vpnws-dhcp is on and there are no addresses of IPv4"),
        ({"dhcp": "all", "pool": "fd00::/64"}, "set vpnws-pool, such as 10.8.0.0/24"),
    ],
    ids=str,
)
def test_without_a_pool_of_ipv4_it_does_not_start(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        read_settings({f"vpnws-{name}": value for name, value in settings.items()})


def test_a_crowd_that_asks_at_once_gets_an_address_each(tmp_path: Path) -> None:
    """Two workers lease of one file: nobody has what another has, also when the pool is full."""
    with make(tmp_path, "10.8.0.0/25", settings={"max-ports": "200"}) as house:
        numbers = range(1, 131)
        stations = {number: join(house, number, 1 + number % 2) for number in numbers}
        for number, station in stations.items():
            station.send(dhcp(DISCOVER, mac(number), macs=BROADCAST + mac(number)))
        answers = [unwrap(frame) for each in stations.values() for frame in each.received()]
        given = [each.message.yiaddr for each in answers if each is not None]
        # Of 126 hosts one is the server itself.
        assert len(given) == len(set(given)) == 125
