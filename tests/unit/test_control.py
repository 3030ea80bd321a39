"""Control: any worker answers for all, in pages; changes reach the port wherever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.control import Operator
from tests.fakes.house import House
from tests.support.raw_frames import CLOSE
from vpnws.server.peers.shared_rules import MAX_RULES
from vpnws.wire.ethernet import parse_mac

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.station import Station

A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"


@pytest.fixture
def house() -> Iterator[House]:
    with House(workers=3, tap="lan:tap9") as built:
        yield built


def join(house: House, worker: int, user: str, mac: str = "", network: str = "lan") -> Station:
    variables: dict[str, Any] = {"HTTP_X_VPN_WS_MAC": mac} if mac else {}
    variables |= {"REMOTE_USER": user, "REMOTE_ADDR": "10.0.0.1"}
    return house.connect(worker, network=network, **variables)


def frame(to: str, sender: str) -> bytes:
    addresses = parse_mac(to), parse_mac(sender)
    assert None not in addresses
    return b"".join(filter(None, addresses)) + b"\x88\xb5" + bytes(46)


class TestSeen:
    def test_every_worker_answers_for_all(self, house: House) -> None:
        for worker, user in ((1, "ada"), (2, "bob"), (3, "eve")):
            join(house, worker, user)
        seen = [Operator(house, worker).get("ports")["items"] for worker in (1, 2, 3)]
        assert seen[0] == seen[1] == seen[2]
        assert [port["who"]["user"] for port in seen[0]] == ["ada", "bob", "eve", ""]
        assert [port["process"] for port in seen[0]] == ["worker 1", "worker 2", "worker 3", "mule"]
        assert seen[0][3]["kind"] == "tap"
        assert seen[0][3]["device"] == "tap9"

    def test_pages_give_every_port_once_and_in_order(self, house: House) -> None:
        for number in range(20):
            join(house, number % 3 + 1, f"user{number}")
        names, after = [], ""
        while True:
            page = Operator(house, 2).get("ports", f"limit=3&after={after}")
            assert len(page["items"]) <= 3
            names += [port["id"] for port in page["items"]]
            after = page["next"]
            if not after:
                break
        assert len(set(names)) == len(names) == 21
        assert names == sorted(names, key=lambda name: [int(part) for part in name.split(".")])

    @pytest.mark.parametrize(
        ("query", "users"),
        [
            ("user=ada", ["ada"]),
            ("network=other", ["bob"]),
            (f"mac={A.upper()}", ["ada"]),
            ("q=AD", ["ada"]),
            ("user=nobody", []),
            ("trunks=true&limit=1", [""]),
        ],
    )
    def test_a_filter_keeps_what_fits(self, house: House, query: str, users: list[str]) -> None:
        join(house, 1, "ada", A)
        join(house, 2, "bob", network="other")
        items = Operator(house, 3).get("ports", query)["items"]
        assert [port["who"]["user"] for port in items] == users

    def test_a_trunk_says_where_it_leads(self, house: House) -> None:
        trunks = Operator(house, 1).get("ports", "trunks=true")["items"]
        led = {port["id"]: port["device"] for port in trunks if port["kind"] == "trunk"}
        assert led["1.t2"] == "worker 2"
        assert led["4.t1"] == "worker 1"
        assert led["1.t4"] == "mule"

    def test_a_process_that_hangs_is_named_and_the_others_are_shown(self, house: House) -> None:
        join(house, 1, "ada")
        join(house, 2, "bob")
        house.processes[2].loop.is_paused = True
        page = Operator(house, 1).get("ports")
        assert page["missing"] == ["worker 2"]
        assert [port["who"]["user"] for port in page["items"]] == ["ada", ""]

    def test_a_worker_that_was_replaced_answers_again(self, house: House) -> None:
        house.kill(2)
        house.start(2)
        join(house, 2, "bob")
        page = Operator(house, 1).get("ports")
        assert page["missing"] == []
        assert "bob" in [port["who"]["user"] for port in page["items"]]

    def test_the_status_counts_all_processes(self, house: House) -> None:
        join(house, 1, "ada", A)
        join(house, 2, "bob", network="other")
        status = Operator(house).get("status")
        assert (status["ports"], status["networks"], status["mode"]) == (2, 2, "bridge")
        assert [process["name"] for process in status["processes"]] == [
            "worker 1", "worker 2", "worker 3", "mule", "hooks",
        ]  # fmt: skip


def port_of(house: House, user: str) -> str:
    """Return the id of the only port that `user` has."""
    (port,) = Operator(house).get("ports", f"user={user}")["items"]
    return str(port["id"])


class TestChanged:
    def test_a_kick_reaches_another_worker_and_says_why(self, house: House) -> None:
        station = join(house, 2, "bob")
        port = port_of(house, "bob")
        Operator(house, 1).change("POST", f"ports/{port}/kick", {"reason": "bye"})
        (closed,) = [frame for frame in station.controls if frame.opcode == CLOSE]
        assert station.close_code == 4001
        assert b"bye" in closed.payload
        assert Operator(house).get("ports", "user=bob")["items"] == []
        assert Operator(house).try_change("POST", f"ports/{port}/kick")[0] == 404

    def test_a_blocked_port_lets_nothing_in_or_out_until_it_is_unblocked(
        self, house: House
    ) -> None:
        ada = join(house, 1, "ada", A)
        bob = house.connect(2, network="lan", offload=True, REMOTE_USER="bob", HTTP_X_VPN_WS_MAC=B)
        port = port_of(house, "bob")
        Operator(house).change("POST", f"ports/{port}/block", {"reason": "a test"})
        assert "a test" in bob.notices()[0]
        for sender, to in ((ada, B), (ada, "ff:ff:ff:ff:ff:ff"), (bob, A)):
            sender.send(frame(to, A if sender is ada else B))
        assert ada.received() == bob.received() == []
        view = Operator(house).get(f"ports/{port}")
        assert (view["is_blocked"], view["block_reason"]) == (True, "a test")
        assert view["drops"] == {"blocked": 1}
        assert view["role"] == "community"
        Operator(house).change("POST", f"ports/{port}/unblock")
        ada.send(frame(B, A))
        bob.send(frame(A, B))
        assert ada.received() == [frame(A, B)]
        assert bob.received() == [frame(B, A)]

    def test_limits_change_at_once_and_only_those_that_are_given(self, house: House) -> None:
        ada = join(house, 2, "ada", A)
        join(house, 1, "bob")
        port = port_of(house, "ada")
        before = Operator(house).get(f"ports/{port}")["limits"]
        Operator(house).change("PATCH", f"ports/{port}", {"storm_packets_per_s": 5})
        after = Operator(house).get(f"ports/{port}")["limits"]
        assert after == {**before, "storm_packets_per_s": 5}
        ada.send(*[frame("ff:ff:ff:ff:ff:ff", A)] * 50)
        assert Operator(house).get(f"ports/{port}")["drops"]["storm"] >= 40
        status, answer = Operator(house).try_change("PATCH", f"ports/{port}", {"strom": 1})
        assert status == 400
        assert "strom" in answer["error"]

    @pytest.mark.parametrize("port", ["9.1", "2.77", "nonsense", "0.1", "4.1"])
    def test_a_port_that_no_station_has_is_not_found(self, house: House, port: str) -> None:
        status, answer = Operator(house).try_change("POST", f"ports/{port}/kick")
        assert status == 404
        assert answer["error"]

    def test_a_process_that_hangs_makes_a_change_fail_loudly(self, house: House) -> None:
        join(house, 2, "bob")
        port = port_of(house, "bob")
        house.processes[2].loop.is_paused = True
        status, answer = Operator(house).try_change("POST", f"ports/{port}/kick")
        assert status == 503
        assert "worker 2" in answer["error"]


class TestBans:
    def test_a_ban_ends_the_ports_of_a_user_on_every_worker_and_keeps_them_out(
        self, house: House
    ) -> None:
        bobs = [join(house, worker, "bob") for worker in (1, 2, 3)]
        ada = join(house, 1, "ada")
        ban = Operator(house).change("POST", "bans", {"user": "bob", "for_s": 60, "reason": "no"})
        assert {bob.close_code for bob in bobs} == {4003}
        assert ada.close_code is None
        for worker in (1, 2, 3):
            refused = join(house, worker, "bob")
            assert refused.status.startswith("403")
            assert b"another 60 s: no" in refused.request.body
        assert Operator(house, 3, user="x").get("bans")["items"] == [ban]
        house.loop.advance(61.0)
        assert join(house, 2, "bob").status.startswith("101")
        assert Operator(house).get("bans")["items"] == []

    def test_a_ban_that_is_removed_lets_in_again(self, house: House) -> None:
        ban = Operator(house, 1).change("POST", "bans", {"addr": "10.0.0.0/8"})
        assert join(house, 2, "bob").status.startswith("403")
        Operator(house, 3).change("DELETE", f"bans/{ban['id']}")
        assert join(house, 2, "bob").status.startswith("101")
        assert Operator(house).try_change("DELETE", f"bans/{ban['id']}")[0] == 404

    def test_a_ban_outlives_a_worker_and_a_reload(self, house: House) -> None:
        ban = Operator(house).change("POST", "bans", {"user": "bob", "network": "lan"})
        house.kill(2)
        house.start(2)
        assert join(house, 2, "bob").status.startswith("403")
        house.reload_all()
        assert join(house, 1, "bob").status.startswith("403")
        assert join(house, 1, "bob", network="other").status.startswith("101")
        (kept,) = Operator(house).get("bans")["items"]
        assert kept["id"] == ban["id"]
        assert kept["until_s"] == pytest.approx(ban["until_s"])

    def test_a_worker_that_hung_ends_the_banned_when_it_goes_on(self, house: House) -> None:
        bob = join(house, 2, "bob")
        house.processes[2].loop.is_paused = True
        Operator(house, 1).change("POST", "bans", {"user": "bob"})
        house.processes[2].loop.is_paused = False
        house.loop.advance(1.1)
        assert bob.close_code == 4003

    @pytest.mark.parametrize(
        "body",
        [{}, {"addr": "nowhere"}, {"user": "a", "for_s": 0}, {"user": "a" * 300}, {"usr": "a"}],
    )
    def test_a_ban_that_names_nobody_is_refused(self, house: House, body: object) -> None:
        status, answer = Operator(house).try_change("POST", "bans", body)
        assert status == 400
        assert answer["error"]

    def test_there_is_room_for_so_many_and_a_further_one_is_refused(self, house: House) -> None:
        operator = Operator(house)
        for number in range(MAX_RULES):
            operator.change("POST", "bans", {"user": f"user{number}"})
        status, answer = operator.try_change("POST", "bans", {"user": "one more"})
        assert status == 409
        assert str(MAX_RULES) in answer["error"]
        assert len(operator.get("bans")["items"]) == MAX_RULES

    def test_the_limits_of_an_identity_hold_for_its_ports_now_and_later(self, house: House) -> None:
        join(house, 1, "bob")
        limits = {"storm_packets_per_s": 7, "stations": 3}
        made = Operator(house, 2).change("POST", "limits", {"user": "bob", "limits": limits})
        join(house, 3, "bob")
        join(house, 3, "ada")
        seen = Operator(house).get("ports")["items"]
        assert [port["limits"]["stations"] == 3 for port in seen[:3]] == [True, True, False]
        assert Operator(house).get("limits")["items"] == [made]
        Operator(house).change("DELETE", f"limits/{made['id']}")
        join(house, 2, "bob")
        assert Operator(house).get("ports", "user=bob")["items"][1]["limits"]["stations"] != 3


class TestOtherSites:
    """A browser sends the operator's password with every request, whoever caused it."""

    @pytest.mark.parametrize(
        "headers",
        [
            {"HTTP_ORIGIN": "https://evil.example"},
            {"HTTP_ORIGIN": "null"},
            {"HTTP_SEC_FETCH_SITE": "cross-site"},
            {"HTTP_SEC_FETCH_SITE": "same-site"},
        ],
    )
    def test_what_another_site_causes_is_refused(
        self, house: House, headers: dict[str, str]
    ) -> None:
        join(house, 1, "ada")
        operator = Operator(house)
        token = operator.get("token")["token"]
        port = port_of(house, "ada")
        headers = {**headers, "HTTP_X_VPNWS_TOKEN": token}
        assert operator.ask("GET", "api/v1/ports", **headers)[0] == 403
        assert operator.ask("POST", f"api/v1/ports/{port}/kick", **headers)[0] == 403
        assert operator.ask("GET", "", query="kill=257", **headers)[0] == 403
        assert port_of(house, "ada") == port

    def test_a_change_without_the_token_or_with_another_users_is_refused(
        self, house: House
    ) -> None:
        join(house, 1, "ada")
        path = f"api/v1/ports/{port_of(house, 'ada')}/kick"
        others = Operator(house, user="mallory").get("token")["token"]
        assert Operator(house).ask("POST", path)[0] == 403
        assert Operator(house).ask("POST", path, HTTP_X_VPNWS_TOKEN=others)[0] == 403
        assert Operator(house).get("ports", "user=ada")["items"]

    def test_an_old_browser_that_does_not_say_whose_request_it_is_kills_nobody(
        self, house: House
    ) -> None:
        operator = Operator(house)
        browser = {"HTTP_USER_AGENT": "Mozilla/5.0"}
        other = {"HTTP_REFERER": "https://evil.example/page"}
        for headers in (browser, other):
            assert operator.ask("GET", "", query="kill=257", **headers)[0] == 403

    def test_a_link_from_elsewhere_may_open_the_page_but_not_kill(self, house: House) -> None:
        navigation = {"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_SEC_FETCH_MODE": "navigate"}
        assert Operator(house).ask("GET", "", **navigation)[0] == 200
        assert Operator(house).ask("GET", "", query="kill=257", **navigation)[0] == 403


class TestWhereControlIs:
    def test_a_station_never_joins_at_the_control_location(self, house: House) -> None:
        station = house.connect(1, VPNWS_ENDPOINT="control", HTTP_HOST="vpn.example")
        assert station.status.startswith("200")
        assert Operator(house).get("status")["ports"] == 0

    @pytest.mark.parametrize("name", ["HTTP_VPNWS_ENDPOINT", "HTTP_X_VPNWS_ENDPOINT"])
    def test_a_header_does_not_make_a_location_control(self, house: House, name: str) -> None:
        variables: dict[str, Any] = {name: "control"}
        station = house.connect(1, **variables)
        assert station.status.startswith("101")

    def test_a_wrong_value_is_refused(self, house: House) -> None:
        assert house.connect(1, VPNWS_ENDPOINT="contrl").status.startswith("500")

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "api/v1/nothing", 404),
            ("DELETE", "api/v1/status", 405),
            ("POST", "", 405),
            ("GET", "api/v1/ports?", 200),
            ("HEAD", "api/v1/status", 200),
        ],
    )
    def test_what_is_not_there_is_said(
        self, house: House, method: str, path: str, status: int
    ) -> None:
        request = Operator(house).begin(method, path.rstrip("?"))
        assert int(request.status[:3]) == status
        assert ("Cache-Control", "no-store") in request.headers

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=1001", "limit=x", "nonsense=1", "after=!", "after=WyJhIl0"]
    )
    def test_a_query_that_does_not_fit_is_refused(self, house: House, query: str) -> None:
        status, answer = Operator(house).ask("GET", "api/v1/ports", query=query)
        assert status == 400
        assert answer["error"]


class TestSeed:
    """vpn-ws's control protocol."""

    def test_it_lists_peers_with_its_own_keys(self, house: House) -> None:
        join(house, 2, "ada", A)
        status, answer = Operator(house).ask("GET", "")
        ada = answer["peers"][0]
        assert status == 200
        assert answer["status"] == "ok"
        assert list(ada) == [
            "id", "MAC", "REMOTE_ADDR", "REMOTE_USER", "DN", "ts", "bridge", "macs", "unix",
            "tx", "rx",
        ]  # fmt: skip
        assert isinstance(ada["id"], int)
        assert (ada["MAC"], ada["REMOTE_USER"], ada["bridge"]) == (A.upper(), "ada", 0)
        assert answer["peers"][1]["bridge"] == 1, "the TAP is a peer too"

    def test_it_kills_by_number_and_says_when_there_is_nobody(self, house: House) -> None:
        station = join(house, 2, "ada", A)
        (number,) = [
            peer["id"] for peer in Operator(house).ask("GET", "")[1]["peers"] if peer["MAC"]
            == A.upper()
        ]  # fmt: skip
        kill = {"query": f"kill={number}"}
        assert Operator(house, 3).ask("GET", "", **kill) == (200, {"status": "ok"})
        assert station.close_code == 4001
        assert Operator(house).ask("GET", "", **kill) == (404, {"status": "not found"})

    @pytest.mark.parametrize("text", ["", "x", "-1", "0", "9" * 30, "2.1", "1%00"])
    def test_what_is_no_number_of_a_peer_is_not_found(self, house: House, text: str) -> None:
        assert Operator(house).ask("GET", "", query=f"kill={text}")[0] == 404

    def test_a_tap_is_not_killed(self, house: House) -> None:
        (tap,) = Operator(house).ask("GET", "")[1]["peers"]
        assert Operator(house).ask("GET", "", query=f"kill={tap['id']}")[0] == 404
