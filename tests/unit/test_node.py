"""A process's node: who may come in, what it does every second, and what it says."""

from __future__ import annotations

import json
import logging
from ipaddress import ip_network

import pytest

from tests.fakes.wire import Wire
from tests.support.frames import frame, mac
from tests.support.node_bed import NodeBed
from tests.support.raw_frames import BINARY, PING, TEXT, encode_frame
from vpnws.errors import CapacityError
from vpnws.server import node as node_module
from vpnws.server.node import TICK_S, UNHEARD
from vpnws.server.port.describe import describe, describe_rights
from vpnws.server.port.link import LINGER_S
from vpnws.server.port.session import Session
from vpnws.server.port.state import LinkState
from vpnws.server.web.identity import Identity
from vpnws.server.web.rights import Rights
from vpnws.switch.guard.claims import ANONYMOUS, RESERVED_S
from vpnws.switch.guard.roles import ISOLATED, Kind, Role
from vpnws.switch.location import NOWHERE, Location
from vpnws.wire import websocket
from vpnws.wire.ethernet import BROADCAST
from vpnws.wire.records import SUBPROTOCOL, encode_record

FIRST, SECOND = mac(1), mac(2)


def speak(source: bytes, destination: bytes = BROADCAST) -> bytes:
    return encode_frame(BINARY, frame(destination, source))


class TestRoom:
    def test_there_is_for_as_many_stations_as_configured(self) -> None:
        bed = NodeBed(max_ports=2)
        bed.join()
        second = bed.join()
        with pytest.raises(CapacityError, match="there are 2 stations already"):
            bed.node.check_room(Session())
        second.link.lose("over")
        bed.node.check_room(Session())

    def test_who_comes_in_too_late_is_refused_at_the_last_step(self) -> None:
        bed = NodeBed(max_ports=1)
        wire = Wire(bed.loop)
        bed.node.check_room(Session())
        bed.join()
        with pytest.raises(CapacityError):
            bed.node.attach(wire.near.as_socket(), Session())
        assert bed.page.ports() == 1

    def test_there_is_none_in_a_network_too_many(self) -> None:
        bed = NodeBed(max_networks=1)
        bed.join(Session(network="blue"))
        bed.node.check_room(Session(network="blue"))
        with pytest.raises(CapacityError):
            bed.node.check_room(Session(network="red"))

    def test_there_is_none_in_a_process_that_stops(self) -> None:
        bed = NodeBed()
        bed.node.stop()
        with pytest.raises(CapacityError, match="the switch is stopping"):
            bed.node.check_room(Session())


class TestAttach:
    def test_an_announced_mac_is_known_at_once(self) -> None:
        bed = NodeBed()
        named, other, sender = bed.join(Session(announced_mac=FIRST)), bed.join(), bed.join()
        sender.send(speak(SECOND, FIRST))
        assert named.messages() == [frame(FIRST, SECOND)]
        assert other.messages() == []

    @pytest.mark.parametrize(
        "session",
        [
            Session(),
            Session(subprotocol="binary"),
            Session(wants_bridge=True),
            Session(rights=Rights(may_bridge=True)),
        ],
        ids=["plain", "another subprotocol", "asks to bridge", "might bridge"],
    )
    def test_a_station_that_is_not_known_yet_hears_no_floods(
        self, session: Session, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        bed = NodeBed()
        quiet, sender = bed.join(session, has_spoken=False), bed.join()
        assert f"; {UNHEARD}" in caplog.messages[1]
        sender.send(speak(FIRST) + speak(FIRST, mac(9)))
        assert quiet.messages() == []
        quiet.send(speak(SECOND))
        sender.messages()
        sender.send(speak(FIRST) + speak(FIRST, mac(9)))
        assert quiet.messages() == [frame(BROADCAST, FIRST), frame(mac(9), FIRST)]

    @pytest.mark.parametrize(
        "session",
        [
            Session(announced_mac=SECOND),
            Session(subprotocol=SUBPROTOCOL),
            Session(wants_bridge=True, rights=Rights(may_bridge=True)),
        ],
        ids=["announced a MAC", "offload", "bridges"],
    )
    def test_one_that_is_ready_hears_them_at_once(
        self, session: Session, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        bed = NodeBed()
        listener, sender = bed.join(session, has_spoken=False), bed.join()
        assert " up " in caplog.messages[1]
        assert UNHEARD not in caplog.messages[1]
        sender.send(speak(FIRST))
        assert len(listener.messages()) == 1

    def test_what_is_no_frame_does_not_make_it_hear(self) -> None:
        bed = NodeBed()
        quiet, sender = bed.join(has_spoken=False), bed.join()
        quiet.send(encode_frame(PING, b"x"))
        sender.send(speak(FIRST))
        assert quiet.messages() == []

    def test_a_station_has_its_own_macs_alone_unless_it_may_bridge(self) -> None:
        bed = NodeBed()
        ordinary, bridging, listener = (
            bed.join(),
            bed.join(Session(rights=Rights(may_bridge=True))),
            bed.join(),
        )
        ordinary.send(speak(FIRST) + speak(SECOND))
        assert len(listener.messages()) == 1
        bridging.send(speak(mac(3)) + speak(mac(4)))
        assert len(listener.messages()) == 2

    def test_a_station_may_be_kept_to_destinations(self) -> None:
        bed = NodeBed()
        bed.join(Session(rights=Rights(allow=(ip_network("192.0.2.0/24"),)))).send(speak(FIRST))
        (link,) = bed.node.links.values()
        assert sum(link.port.drops.values()) == 1

    def test_ids_do_not_repeat_in_the_next_process(self) -> None:
        bed = NodeBed()
        first = {bed.join().link.port.id for _ in range(3)}
        bed.uwsgi._process_id += 1
        bed.node = bed.make_node()
        assert not first & {bed.join().link.port.id for _ in range(3)}


class TestForerunner:
    def test_its_stations_are_forgotten_and_counted(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        bed = NodeBed()
        user = Session(identity=Identity(remote_user="alice"))
        claim = user.identity.claim()
        for session, source in ((Session(), FIRST), (user, SECOND)):
            bed.join(session).send(speak(source))
        shared = bed.node.shared
        assert shared.get("default", FIRST) is not None
        bed.node = bed.make_node()
        assert shared.get("default", FIRST) is None
        assert shared.get("default", SECOND) == Location(
            NOWHERE, 0, claim, bed.loop.now() + RESERVED_S
        )
        assert claim != ANONYMOUS
        assert caplog.messages[-1].endswith("; forgot 2 stations of the process before")
        assert bed.page.ports() == 0


class TestTick:
    def test_a_quiet_station_is_pinged_and_a_dead_one_ended(self) -> None:
        bed = NodeBed(ping_every_s=5, dead_after_s=20)
        station = bed.join()
        bed.loop.advance(6.0)
        assert [one.opcode for one in station.frames()] == [PING]
        bed.loop.advance(15.0)
        assert station.link.state is LinkState.LINGERING
        assert station.frames()[-1].close_code == websocket.GOING_AWAY

    def test_after_a_late_tick_nobody_is_judged(self) -> None:
        bed = NodeBed(ping_every_s=5, dead_after_s=20)
        station = bed.join()
        bed.loop.sleep(60.0)
        assert bed.node.links, "nobody has been ended"
        assert station.frames() == []
        bed.loop.advance(TICK_S)
        assert station.link.state is LinkState.LINGERING

    def test_macs_age(self) -> None:
        bed = NodeBed(age_s=10)
        first, second, third = bed.join(), bed.join(), bed.join()
        first.send(speak(FIRST))
        bed.loop.advance(20.0)
        second.send(speak(SECOND, FIRST))
        assert frame(FIRST, SECOND) in third.messages()
        assert first.messages() == [frame(FIRST, SECOND)]


class TestTheEnd:
    def test_a_link_lingers_for_its_stations_answer(self) -> None:
        bed = NodeBed()
        station = bed.join()
        station.link.end(websocket.GOING_AWAY, "enough")
        assert bed.page.ports() == 0
        assert bed.node.links == {}
        bed.loop.advance(LINGER_S + 2 * TICK_S)
        assert station.link.state is LinkState.CLOSED

    def test_no_more_links_linger_than_there_is_room_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(node_module, "MAX_LINGERING_LINKS", 2)
        bed = NodeBed()
        links = [bed.join().link for _ in range(3)]
        for link in links:
            link.end(websocket.GOING_AWAY, "enough")
        assert [link.state for link in links] == [
            LinkState.LINGERING,
            LinkState.LINGERING,
            LinkState.CLOSED,
        ]

    def test_one_that_has_waited_long_enough_makes_room(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(node_module, "MAX_LINGERING_LINKS", 1)
        bed = NodeBed()
        first, second = bed.join().link, bed.join().link
        first.end(websocket.GOING_AWAY, "enough")
        bed.loop.world.now_s += LINGER_S
        second.end(websocket.GOING_AWAY, "enough")
        assert (first.state, second.state) == (LinkState.CLOSED, LinkState.LINGERING)

    def test_a_stop_ends_every_link_at_once(self) -> None:
        bed = NodeBed()
        stations = [bed.join() for _ in range(3)]
        bed.node.stop()
        assert [one.link.state for one in stations] == [LinkState.CLOSED] * 3
        assert [one.frames()[-1].close_code for one in stations] == [1012] * 3
        assert bed.page.ports() == 0

    def test_of_a_station_is_logged_with_what_it_did(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        bed = NodeBed()
        station, other = bed.join(), bed.join()
        station.send(speak(FIRST) + encode_frame(BINARY, b"short"))
        other.send(speak(SECOND))
        bed.loop.advance(5.0)
        caplog.set_level(logging.INFO)
        caplog.clear()
        station.link.lose('a "reason"\nwith a line')
        assert caplog.messages == [
            "port 1.1 down after 5 s: 'a ?reason??with a line'; rx 2 frames, 65 bytes;"
            " tx 1 frames, 60 bytes; drops length=1; user=- dn=- addr=- mac=02:00:00:00:00:01"
        ]


@pytest.mark.parametrize(
    ("session", "rights"),
    [
        (Session(), "community"),
        (Session(rights=Rights(ISOLATED)), "isolated"),
        (Session(rights=Rights(Role(Kind.COMMUNITY, "red"))), "community:red"),
        (Session(wants_bridge=True), "community,bridge-refused"),
        (Session(wants_bridge=True, rights=Rights(may_bridge=True)), "community,bridge"),
        (
            Session(rights=Rights(allow=(ip_network("10.0.0.0/8"), ip_network("fd00::/64")))),
            "community,allow:10.0.0.0/8+fd00::/64",
        ),
        (Session(rights=Rights(allow=())), "community,allow:"),
    ],
)
def test_rights_in_the_log(session: Session, rights: str) -> None:
    assert describe_rights(session) == rights


def test_no_name_can_forge_a_log_line() -> None:
    identity = Identity(remote_user="eve user=root\n", dn="CN='x'", remote_addr="192.0.2.1")
    assert describe(Session(identity=identity, announced_mac=FIRST)) == (
        "network=default user=eve?user=root? dn=CN=?x? addr=192.0.2.1 mac=02:00:00:00:00:01"
        " rights=community subprotocol=-"
    )


class TestReports:
    """What is dropped is said while it happens, in the log and to the station."""

    @pytest.fixture(autouse=True)
    def warnings(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING)

    def test_who_takes_a_mac_is_told_and_so_is_the_operator(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        bed = NodeBed()
        alice = bed.join(Session(Identity("alice"), announced_mac=FIRST))
        bob = bed.join(Session(Identity("bob", remote_addr="192.0.2.9"), subprotocol=SUBPROTOCOL))
        bob.send(encode_frame(BINARY, encode_record(frame(BROADCAST, FIRST))))
        bed.loop.advance(TICK_S)
        assert caplog.messages == [
            "port 1.2 user=bob dn=- addr=192.0.2.9 mac=- drops 1 frames of 02:00:00:00:00:01"
            " (mac_taken): the MAC belongs to port 1.1: use another MAC (--mac), or end that"
            " station"
        ]
        (notice,) = [one.payload for one in bob.frames() if one.opcode == TEXT]
        told = json.loads(notice)["notice"]
        assert "02:00:00:00:00:01 are dropped (mac_taken)" in told
        assert "another station" in told
        assert "1.1" not in told
        assert not [one for one in alice.frames() if one.opcode == TEXT]

    def test_a_plain_station_is_told_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        bed = NodeBed()
        station = bed.join()
        station.send(encode_frame(BINARY, b"short"))
        bed.loop.advance(TICK_S)
        assert len(caplog.messages) == 1
        assert station.frames() == []

    def test_a_burst_is_one_line_and_another_when_the_minute_is_over(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        bed = NodeBed()
        station = bed.join()
        for _ in range(30):
            station.send(encode_frame(BINARY, b"short") * 10)
            bed.loop.advance(1.0)
        assert [message.partition(" drops ")[2].split()[0] for message in caplog.messages] == ["10"]
        bed.loop.advance(60.0)
        assert caplog.messages[1].partition(" drops ")[2].startswith("290 frames (length)")
        bed.loop.advance(300.0)
        assert len(caplog.messages) == 2

    def test_asking_to_bridge_without_the_right_is_told(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        bed = NodeBed()
        station = bed.join(Session(wants_bridge=True, subprotocol=SUBPROTOCOL))
        assert caplog.messages[0].startswith(
            "port 1.1 asked to bridge, and the web server does not"
        )
        assert "VPNWS_BRIDGE" in json.loads(station.frames()[0].payload)["notice"]
        bed.join(Session(wants_bridge=True, rights=Rights(may_bridge=True)))
        assert len(caplog.messages) == 1
