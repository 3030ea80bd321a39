"""Traces: situations over several processes, each with the step that decides and the remedy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from tests.fakes.control import Operator
from tests.fakes.house import House
from tests.support.frames import ARP, ARP_REQUEST, arp, frame, ipv4, mac
from tests.support.sources import ROOT
from vpnws.control.trace_steps import DROPS_OF, QUIET, STEP_NAMES
from vpnws.control.trace_words import LOSSES
from vpnws.ctl.commands.all import COMMANDS
from vpnws.switch.drop import Drop
from vpnws.switch.foresight import Step
from vpnws.wire.ethernet import BROADCAST, format_mac

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.station import Station

ADA, BOB, EVE = mac(1), mac(2), mac(3)
AGE_S = 300


@pytest.fixture
def house() -> Iterator[House]:
    with House(workers=2) as made:
        yield made


@pytest.fixture
def lan() -> Iterator[House]:
    with House(workers=2, tap="vpn0") as made:
        yield made


def join(
    house: House,
    worker: int,
    user: str,
    address: bytes | None,
    network: str = "",
    *,
    has_spoken: bool = True,
    **rights: str,
) -> Station:
    """Connect a station that announces its MAC, and sends one frame."""
    variables: dict[str, Any] = {"REMOTE_ADDR": f"192.0.2.{worker}", **rights}
    if address is not None:
        variables["HTTP_X_VPN_WS_MAC"] = format_mac(address)
    if user:
        variables["REMOTE_USER"] = user
    station = house.connect(worker, network=network, has_spoken=has_spoken, **variables)
    if address is not None and has_spoken:
        station.send(frame(BROADCAST, address))
    return station


def trace(house: House, source: str, destination: str, **query: object) -> Any:
    asked = {"from": source, "to": destination, **query}
    return Operator(house, 2).get("trace", urlencode(asked))


def decides(view: Any) -> tuple[str, str, int, str]:
    """Return what decides the way there: outcome, reason, number of the step, its process."""
    there = view["there"]
    steps = [step for step in there["steps"] if step["state"] == "decides"]
    assert [step["number"] for step in steps] == ([there["decided_by"]] if steps else [])
    at = steps[0]["process"] if steps else ""
    return there["outcome"], there["reason"], there["decided_by"], at


class TestTheyCanTalk:
    @pytest.mark.parametrize("workers", [(1, 1), (1, 2), (2, 1)])
    def test_on_any_workers(self, house: House, workers: tuple[int, int]) -> None:
        join(house, workers[0], "ada", ADA)
        join(house, workers[1], "bob", BOB)
        view = trace(house, "ada", "bob")
        assert view["text"] == "the switch carries frames from ada to bob and back"
        assert view["there"]["outcome"] == view["back"]["outcome"] == "delivered"
        assert "its machine decides: tcpdump" in view["hint"]
        assert view["remedy"] == ""
        count = 8 if workers[0] == workers[1] else 11
        assert [step["state"] for step in view["there"]["steps"]] == ["passed"] * count
        assert all(step["text"] for step in view["there"]["steps"])

    def test_by_whatever_name(self, lan: House) -> None:
        join(lan, 1, "ada", ADA)
        mac_text = format_mac(ADA)
        names = ("ada", "1.1", mac_text, mac_text.upper(), "user:ada", "port:1.1", "addr:192.0.2.1")
        for name in (*names, f"mac:{mac_text}"):
            view = trace(lan, name, "vpn0")
            assert view["source"]["port"] == "1.1"
            assert view["destination"]["kind"] == "tap"
            assert view["there"]["outcome"] == "delivered"
            assert "vpnws-ctl doctor" in view["hint"]

    def test_a_question_goes_to_all_and_its_answer_to_one(self, lan: House) -> None:
        join(lan, 1, "ada", ADA)
        join(lan, 2, "bob", BOB)
        for ether in ("arp", "nd"):
            view = trace(lan, "ada", "bob", ether=ether)
            assert view["there"]["outcome"] == "flooded"
            assert view["there"]["ports"] == ["2.1", "3.1"]
            assert view["back"]["outcome"] == "delivered"

    def test_a_group_is_all_that_hear_it(self, lan: House) -> None:
        join(lan, 1, "ada", ADA)
        join(lan, 1, "eve", EVE)
        view = trace(lan, "ada", format_mac(BROADCAST))
        assert (view["there"]["outcome"], view["there"]["port_count"]) == ("flooded", 2)

    def test_of_several_ports_of_a_user_the_newest_is_traced(self, house: House) -> None:
        join(house, 1, "ada", ADA)
        house.loop.advance(1.0)
        join(house, 2, "ada", EVE)
        join(house, 2, "bob", BOB)
        view = trace(house, "ada", "bob")
        assert (view["source"]["port"], view["source"]["others"]) == ("2.1", ["1.1"])


class TestAddresses:
    def test_an_ip_address_that_was_heard(self, house: House) -> None:
        join(house, 1, "ada", ADA, VPNWS_ALLOW="10.8.0.0/30")
        join(house, 2, "bob", BOB).send(_tells(BOB, "10.8.0.2"))
        view = trace(house, "ada", "10.8.0.2")
        assert view["destination"]["port"] == "2.1"
        assert view["destination"]["mac"] == format_mac(BOB)
        assert view["there"]["outcome"] == "delivered"
        named = trace(house, "ada", "bob")
        assert named["there"]["outcome"] == "delivered"
        assert not any("by its IP address" in text for text in named["there"]["warnings"])

    def test_one_that_the_web_server_does_not_let_it_send_to(self, house: House) -> None:
        join(house, 1, "ada", ADA, VPNWS_ALLOW="10.8.0.0/30")
        join(house, 2, "bob", BOB).send(_tells(BOB, "10.8.0.7"))
        for name in ("bob", "10.8.0.7"):
            assert decides(trace(house, "ada", name)) == ("dropped", "not_allowed", 2, "worker 1")

    def test_of_several_hosts_behind_a_port_the_one_that_has_it(self, lan: House) -> None:
        join(lan, 1, "ada", ADA)
        tap = lan.devices.opened("vpn0")
        for number in (7, 8):
            tap.host_send(_tells(mac(number), f"10.8.0.{number}"))
            lan.loop.settle()
        view = trace(lan, "ada", "10.8.0.8")
        assert view["destination"]["mac"] == format_mac(mac(8))
        assert view["there"]["ports"] == ["3.1"]


def _tells(address: bytes, ip: str) -> bytes:
    """Return a frame in which a host tells all others its IP address."""
    return arp(ARP_REQUEST, (address, ip), (bytes(6), ip), macs=BROADCAST + address)


class TestLosses:
    """Reasons that do not decide about the frame that is traced: a trace warns of them."""

    @pytest.mark.parametrize("reason", sorted(set(Drop) - QUIET - DROPS_OF[Step.QUEUE]))
    def test_at_the_port_where_frames_come_in(self, house: House, reason: Drop) -> None:
        join(house, 1, "ada", ADA)
        join(house, 2, "bob", BOB)
        (link,) = house.processes[1].node.links.values()
        link.port.drops[reason] += 7
        house.loop.advance(1.0)
        view = trace(house, "ada", "bob")
        said = f"the port of ada has dropped 7 {LOSSES[reason]} in 10 s"
        assert view["there"]["warnings"] == [said]
        assert view["text"] == f"the switch carries frames from ada to bob and back; but {said}"
        assert view["remedy"] == "vpnws-ctl drops says what to do about the losses"
        (step,) = [step for step in view["there"]["steps"] if step["recent_drops"]]
        assert reason in DROPS_OF[step["number"]]
        house.loop.advance(11.0)
        assert trace(house, "ada", "bob")["there"]["warnings"] == []

    @pytest.mark.parametrize("reason", sorted(DROPS_OF[Step.QUEUE]))
    def test_at_the_port_where_frames_go_out(self, house: House, reason: Drop) -> None:
        join(house, 1, "ada", ADA)
        join(house, 2, "bob", BOB)
        (link,) = house.processes[2].node.links.values()
        link.port.drops[reason] += 7
        view = trace(house, "ada", "bob")
        assert view["there"]["warnings"] == [
            f"the port of bob has dropped 7 {LOSSES[reason]} in 10 s"
        ]
        assert view["there"]["steps"][-1]["recent_drops"] == 7

    def test_a_tap_that_is_down(self, lan: House) -> None:
        ada = join(lan, 1, "ada", ADA)
        tap = lan.devices.opened("vpn0")
        tap.is_up = False
        ada.send(frame(tap.mac, ADA), frame(tap.mac, ADA))
        view = trace(lan, "ada", "vpn0")
        assert "the port of vpn0 has dropped 2 frames that the kernel refused" in view["text"]


class TestLength:
    def test_a_frame_that_is_too_long(self) -> None:
        with House(settings={"max-frame": "1514"}) as house:
            join(house, 1, "ada", ADA)
            join(house, 2, "bob", BOB)
            view = trace(house, "ada", "bob", size=2000)
        assert decides(view) == ("dropped", "length", 1, "worker 1")
        assert "an MTU of at most 1,500" in view["remedy"]


class TestSource:
    def test_a_group_is_no_source(self, house: House) -> None:
        join(house, 2, "bob", BOB)
        view = trace(house, format_mac(BROADCAST), "bob")
        assert decides(view) == ("unknown", "", 0, "")
        assert "sends nothing" in view["text"]

    def test_where_the_web_server_does_not_let_it_send(self, house: House) -> None:
        join(house, 1, "ada", ADA, VPNWS_ALLOW="10.8.0.0/30,fd00::/64")
        join(house, 2, "bob", BOB)
        view = trace(house, "ada", "10.9.0.2")
        assert view["destination"]["kind"] == "unknown"
        view = trace(house, "ada", "bob", ether="0x88cc")
        assert decides(view) == ("dropped", "not_allowed", 2, "worker 1")
        assert "may only send to 10.8.0.0/30, fd00::/64" in view["text"]
        assert "VPNWS_ALLOW in the web server" in view["remedy"]

    def test_an_address_that_nobody_has_heard_may_be_allowed(self, house: House) -> None:
        join(house, 1, "ada", ADA, VPNWS_ALLOW="10.8.0.0/30")
        join(house, 2, "bob", BOB)
        view = trace(house, "ada", "bob")
        assert view["there"]["outcome"] == "delivered"
        assert "name bob by its IP address" in view["there"]["warnings"][-1]

    def test_a_station_that_the_operator_has_blocked(self, house: House) -> None:
        join(house, 1, "ada", ADA)
        join(house, 2, "bob", BOB)
        Operator(house).change("POST", "ports/1.1/block", {"reason": "it floods"})
        view = trace(house, "ada", "bob")
        assert decides(view) == ("dropped", "blocked", 2, "worker 1")
        assert view["text"] == "ada is blocked by the operator: it floods"
        assert view["remedy"] == "vpnws-ctl unblock 1.1"
        view = trace(house, "bob", "ada")
        assert decides(view) == ("dropped", "filtered", 7, "worker 1")
        assert view["text"] == "ada is blocked by the operator: it floods"


class TestReserved:
    def test_what_no_switch_forwards(self, house: House) -> None:
        join(house, 1, "ada", ADA)
        view = trace(house, "ada", "01:80:c2:00:00:00")
        assert decides(view) == ("dropped", "reserved", 3, "worker 1")


class TestLearn:
    def test_more_macs_than_the_port_may_have(self, house: House) -> None:
        ada = join(house, 1, "ada", ADA)
        join(house, 2, "bob", BOB)
        ada.send(frame(BROADCAST, EVE))
        view = trace(house, "ada", "bob")
        assert view["there"]["outcome"] == "delivered"
        assert view["there"]["steps"][3]["recent_drops"] == 1
        assert view["there"]["warnings"] == [
            "the port of ada has dropped 1 frames of one MAC more than it may have in 10 s"
        ]
        # Its other MAC has not been learned, so nobody sends from it.
        view = trace(house, format_mac(EVE), "bob")
        assert "no port has the MAC" in view["text"]

    def test_a_mac_that_another_name_has(self, house: House) -> None:
        join(house, 1, "ada", ADA)
        join(house, 2, "bob", None).send(frame(BROADCAST, ADA))
        view = trace(house, "bob", "ada", network="default")
        # Bob's port has not learned a MAC: its own is ada's.
        assert view["source"]["mac"] == ""

    def test_an_announced_mac_that_another_name_has(self, house: House) -> None:
        join(house, 1, "ada", ADA)
        join(house, 1, "eve", EVE)
        join(house, 2, "bob", ADA)
        view = trace(house, "bob", "eve")
        assert decides(view) == ("dropped", "mac_taken", 4, "worker 2")
        assert "belongs to port 1.1 (ada)" in view["text"]
        assert "vpnws-ctl kick 1.1" in view["remedy"]

    def test_a_mac_of_the_server_itself(self, lan: House) -> None:
        own = lan.devices.devices["vpn0"].mac
        join(lan, 1, "ada", ADA)
        join(lan, 2, "bob", own)
        view = trace(lan, "bob", "ada")
        assert decides(view) == ("dropped", "mac_taken", 4, "worker 2")
        assert "the server itself" in view["text"]

    def test_a_mac_that_is_kept_for_one_who_is_away(self, house: House) -> None:
        join(house, 1, "ada", ADA).hang_up()
        join(house, 1, "eve", EVE)
        house.loop.advance(10.0)
        join(house, 2, "bob", ADA)
        view = trace(house, "bob", "eve")
        assert decides(view) == ("dropped", "mac_taken", 4, "worker 2")
        assert "a station that is away, for another 50 s" in view["text"]

    def test_a_mac_that_is_pinned_to_one_who_is_away(self, house: House) -> None:
        join(house, 1, "eve", EVE)
        pin = {"network": "default", "mac": format_mac(ADA), "user": "ada"}
        Operator(house).change("POST", "pins", pin)
        join(house, 2, "bob", ADA)
        view = trace(house, "bob", "eve")
        assert decides(view) == ("dropped", "mac_taken", 4, "worker 2")
        assert "belongs to an identity that it is pinned to, which is away" in view["text"]
        assert "vpnws-ctl pins" in view["remedy"]

    def test_a_newer_station_of_the_same_user(self, house: House) -> None:
        join(house, 1, "ada", ADA)
        join(house, 1, "eve", EVE)
        house.loop.advance(1.0)
        join(house, 2, "ada", ADA)
        view = trace(house, "1.1", "eve")
        assert decides(view) == ("dropped", "mac_taken", 4, "worker 1")
        assert "port 2.1 (ada), a newer station of the same user" in view["text"]

    def test_a_mac_that_another_port_still_sends_from(self, house: House) -> None:
        join(house, 1, "", ADA)
        join(house, 1, "eve", EVE)
        join(house, 2, "", ADA)
        view = trace(house, "2.1", "eve")
        assert decides(view) == ("dropped", "move_guard", 4, "worker 2")
        assert "is at port 1.1" in view["text"]
        assert "wait a second" in view["remedy"]


class TestClassify:
    def test_broadcasts_that_a_setting_forbids(self) -> None:
        with House(settings={"no-broadcast": "on", "no-multicast": "on"}) as house:
            join(house, 1, "ada", ADA)
            join(house, 2, "bob", BOB)
            arp = trace(house, "ada", "bob", ether="arp")
            nd = trace(house, "ada", "bob", ether="nd")
            known = trace(house, "ada", "bob")
        assert decides(arp) == ("dropped", "no_broadcast", 5, "worker 1")
        assert decides(nd) == ("dropped", "no_multicast", 5, "worker 1")
        assert known["there"]["outcome"] == "delivered"
        assert "turn vpnws-no-broadcast off" in arp["remedy"]

    def test_a_station_that_has_gone(self, house: House) -> None:
        join(house, 1, "ada", ADA)
        join(house, 2, "bob", BOB).leave()
        house.loop.advance(400.0)
        for name in ("bob", format_mac(BOB), "2.1"):
            view = trace(house, "ada", name)
            assert view["text"] == (
                f"{name}'s MAC was last heard 400 s ago on port 2.1, which is down: closed by the"
                " station"
            )
            assert decides(view) == ("elsewhere", "", 5, "worker 1")
            assert view["destination"]["kind"] == "gone"
            assert view["back"]["outcome"] == "unknown"

    def test_a_user_who_is_banned(self, house: House) -> None:
        join(house, 1, "ada", ADA)
        bob = join(house, 2, "bob", BOB)
        body = {"user": "bob", "for_s": 3600, "reason": "too loud"}
        ban = Operator(house).change("POST", "bans", body)
        assert bob.is_hung_up or bob.close_code
        house.loop.advance(100.0)
        for name in ("bob", format_mac(BOB)):
            view = trace(house, "ada", name)
            said = f"{name} is banned by the operator for another 3500 s: too loud"
            assert view["text"] == said
            assert view["remedy"] == f"vpnws-ctl unban {ban['id']}"
            assert view["back"]["text"] == said

    def test_nobody_of_that_name(self, house: House) -> None:
        join(house, 1, "ada", ADA)
        join(house, 2, "robert", BOB)
        view = trace(house, "ada", "rob")
        assert view["text"] == "nobody here is called 'rob': did you mean robert?"
        assert view["destination"]["near"] == ["robert"]
        view = trace(house, "adda", "robert")
        assert "did you mean ada?" in view["text"]

    def test_a_mac_that_nobody_has(self, house: House) -> None:
        join(house, 1, "ada", ADA)
        join(house, 2, "bob", BOB)
        view = trace(house, "ada", format_mac(mac(99)))
        assert decides(view) == ("elsewhere", "", 5, "worker 1")
        assert view["there"]["ports"] == ["2.1"]

    def test_a_process_that_has_no_port_in_the_network_gets_nothing_of_it(
        self, house: House
    ) -> None:
        join(house, 1, "ada", ADA, "blue")
        join(house, 2, "bob", BOB, "red")
        view = trace(house, "ada", "ff:ff:ff:ff:ff:ff")
        assert (view["there"]["outcome"], view["there"]["port_count"]) == ("flooded", 0)


class TestStorm:
    def test_the_limit_is_reached(self) -> None:
        with House(settings={"storm-limit": "100"}) as house:
            ada = join(house, 1, "ada", ADA)
            bob = join(house, 2, "bob", BOB)
            house.loop.advance(10.0)
            ada.send(*[frame(BROADCAST, ADA)] * 1304)
            assert len(bob.received()) == 100
            flooded = trace(house, "ada", format_mac(mac(99)))
            arp = trace(house, "ada", "bob", ether="arp")
            known = trace(house, "ada", "bob")
        assert decides(flooded) == ("dropped", "storm", 6, "worker 1")
        assert (
            "storm limit reached: port 1.1 (ada) may flood 100 frames a second" in flooded["text"]
        )
        assert "vpnws-ctl capture --port 1.1" in flooded["remedy"]
        # Questions still pass, and so does known unicast.
        assert arp["there"]["outcome"] == "flooded"
        assert known["there"]["outcome"] == "delivered"
        assert known["text"] == (
            "the switch carries frames from ada to bob and back; but the port of ada has dropped"
            " 1,204 flooded frames beyond the storm limit in 10 s"
        )


class TestEgressRules:
    @pytest.mark.parametrize("worker", [1, 2])
    def test_isolated_stations(self, worker: int) -> None:
        with House(tap="vpn0", settings={"mode": "router"}) as house:
            join(house, 1, "ada", ADA)
            join(house, worker, "bob", BOB)
            known = trace(house, "ada", "bob")
            asked = trace(house, "ada", "bob", ether="arp")
            out = trace(house, "ada", "vpn0")
        assert decides(known) == ("dropped", "filtered", 7, f"worker {worker}")
        assert known["text"] == "ada is isolated: mode router"
        assert decides(asked) == ("elsewhere", "", 7, f"worker {worker}")
        assert asked["text"] == "ada is isolated: mode router"
        assert asked["there"]["ports"] == ["3.1"]
        assert out["there"]["outcome"] == "delivered"

    def test_different_communities(self, house: House) -> None:
        join(house, 1, "ada", ADA, VPNWS_ROLE="community:x")
        join(house, 2, "bob", BOB, VPNWS_ROLE="community:y")
        view = trace(house, "ada", "bob")
        assert decides(view) == ("dropped", "filtered", 7, "worker 2")
        assert view["text"].startswith("ada is community:x and bob is community:y")

    def test_a_role_of_its_own(self, house: House) -> None:
        join(house, 1, "ada", ADA)
        join(house, 2, "bob", BOB, VPNWS_ROLE="isolated")
        assert trace(house, "ada", "bob")["text"] == "bob is isolated: VPNWS_ROLE"

    def test_other_networks(self, house: House) -> None:
        join(house, 1, "ada", ADA, "blue")
        join(house, 2, "bob", BOB, "red")
        view = trace(house, "ada", "bob")
        assert decides(view) == ("elsewhere", "", 7, "worker 1")
        assert view["text"].startswith("ada is in network blue and bob in network red")

    def test_a_user_with_ports_in_two_networks_is_looked_for_where_the_other_is(
        self, house: House
    ) -> None:
        join(house, 1, "ada", ADA, "blue")
        house.loop.advance(1.0)
        join(house, 1, "ada", EVE, "red")
        join(house, 2, "bob", BOB, "blue")
        assert trace(house, "ada", "bob")["there"]["outcome"] == "delivered"
        assert trace(house, "bob", "ada")["there"]["outcome"] == "delivered"
        assert trace(house, "ada", "bob", network="red")["text"].startswith("nobody here is called")

    def test_one_port(self, house: House) -> None:
        ada = join(house, 1, "ada", ADA, VPNWS_BRIDGE="on", HTTP_X_VPN_WS_BRIDGE="on")
        ada.send(frame(BROADCAST, EVE))
        view = trace(house, format_mac(ADA), format_mac(EVE))
        assert decides(view) == ("dropped", "filtered", 7, "worker 1")
        assert "both behind port 1.1 (ada)" in view["text"]

    def test_one_who_has_not_spoken_hears_no_questions(self, house: House) -> None:
        join(house, 1, "ada", ADA)
        join(house, 2, "bob", None, has_spoken=False)
        view = trace(house, "ada", "bob", ether="arp")
        assert decides(view) == ("elsewhere", "", 7, "worker 2")
        assert "has not sent a frame yet" in view["text"]


class TestQueue:
    def test_a_station_that_does_not_read(self) -> None:
        with House(settings={"egress-limit": "65536"}) as house:
            ada = join(house, 2, "ada", ADA)
            join(house, 1, "bob", BOB).stop_reading()
            for _ in range(100):
                ada.send(*[frame(BOB, ADA, 1514)] * 10)
            view = trace(house, "ada", "bob")
            (link,) = house.processes[1].node.links.values()
            assert link.port.egress.backed_up
        # The frame finds room; an older one is dropped for it.
        assert view["there"]["outcome"] == "delivered"
        assert " of 65,536 bytes wait; its socket is full" in view["there"]["steps"][-1]["text"]

    def test_a_queue_that_has_no_room(self, house: House) -> None:
        join(house, 1, "ada", ADA)
        join(house, 2, "bob", BOB)
        (link,) = house.processes[2].node.links.values()
        _fill(link.port)
        view = trace(house, "ada", "bob")
        assert decides(view) == ("dropped", "egress_full", 8, "worker 2")
        assert "the queue of port 2.1 (bob) is full" in view["text"]

    def test_a_trunk_that_has_no_room(self, house: House) -> None:
        join(house, 1, "ada", ADA)
        join(house, 2, "bob", BOB)
        _fill(house.processes[1].node.switch.trunks[1])
        for ether in ("ipv4", "arp"):
            view = trace(house, "ada", "bob", ether=ether)
            assert decides(view) == ("dropped", "egress_full", 8, "worker 1")
            assert "the queue to worker 2 is full" in view["text"]


def _fill(port: Any) -> None:
    """Fill a queue in a moment in which nobody writes it."""
    queue = port.egress
    queue.push([bytes(queue.limit_bytes)], 1, queue.limit_bytes, 0.0)


class TestProcesses:
    def test_one_that_does_not_answer(self, house: House) -> None:
        join(house, 2, "ada", ADA)
        join(house, 1, "bob", BOB)
        house.processes[1].loop.is_paused = True
        view = trace(house, "ada", format_mac(BOB))
        house.processes[1].loop.is_paused = False
        assert view["missing"] == ["worker 1"]
        assert view["there"]["outcome"] in ("unknown", "elsewhere")
        assert "worker 1 has not answered" in view["text"]
        assert "ask again" in view["remedy"]


class TestAsked:
    @pytest.mark.parametrize(
        "query",
        [
            "from=ada",
            "from=ada&to=",
            "from=ada&to=bob&ether=apple",
            "from=ada&to=bob&ether=0x05ff",
            "from=ada&to=bob&size=59",
            "from=ada&to=bob&size=70000",
            "from=ada&to=bob&speed=1",
            f"from={'a' * 300}&to=bob",
        ],
    )
    def test_wrongly_is_refused_with_a_sentence(self, house: House, query: str) -> None:
        status, answer = Operator(house).ask("GET", "api/v1/trace", query=query)
        assert status == 400
        assert answer["error"]

    def test_with_a_hostile_name(self, house: House) -> None:
        join(house, 1, "ada", ADA)
        name = "<b>\n2026-01-01 INFO forged\x1b[31m"
        view = trace(house, name, "ada")
        assert "\n" not in view["text"]
        assert "\x1b" not in view["text"]


class TestWords:
    def test_the_steps_have_the_names_of_the_design(self) -> None:
        design = (ROOT / "docs" / "design.md").read_text()
        for step, name in STEP_NAMES.items():
            assert f"{step:d}. **{name.split()[0]}" in design
        assert set(STEP_NAMES) == set(Step)

    def test_every_reason_belongs_to_a_step_and_has_words(self) -> None:
        assert set(LOSSES) == set(Drop)
        of_steps = [drop for drops in DROPS_OF.values() for drop in drops]
        assert sorted(of_steps) == sorted(Drop)

    def test_every_command_that_they_name_exists(self) -> None:
        text = "".join(path.read_text() for path in ROOT.glob("vpnws/control/trace*.py"))
        named = set(re.findall(r"vpnws-ctl ([a-z]+)", text))
        assert named
        assert named <= {command.name for command in COMMANDS}


class TestNothingChanges:
    def test_a_trace_leaves_no_trace(self, house: House) -> None:
        ada = join(house, 1, "ada", ADA)
        join(house, 2, "bob", BOB)
        ada.send(ipv4(macs=BOB + ADA), frame(mac(99), ADA), frame(BROADCAST, ADA, kind=ARP))
        before = _state(house)
        for destination in ("bob", format_mac(mac(98)), format_mac(BROADCAST), "nobody"):
            for ether in ("arp", "ipv4", "0x88b5"):
                trace(house, "ada", destination, ether=ether)
                trace(house, "bob", destination, ether=ether)
        assert _state(house) == before


def _state(house: House) -> Any:
    """Return every count, entry and bucket of the processes, and what they share."""
    states: list[Any] = []
    for process in house.processes.values():
        switch = process.node.switch
        ports = [port for network in switch.networks for port in network.ports.values()]
        for port in (*ports, *switch.trunks.values()):
            states.append((port.id, dict(port.drops), port.rx_frames, port.tx_frames))
            states.append(port.storm.tokens(house.loop.now()))
            states.append(port.egress.size_bytes)
        for network in switch.networks:
            known = network.fdb.known
            states.append(
                {m: (e.port.id, e.seen_s, e.refresh_s, e.epoch) for m, e in known.entries.items()}
            )
            states.append([sorted(known.stations_of(port)) for port in network.ports.values()])
    return states, dict(house.master.cache._entries)
