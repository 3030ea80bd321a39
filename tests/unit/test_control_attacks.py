"""Attacks on control: what does not fit is refused, what is too much is bounded, nothing breaks."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.control import Operator
from tests.fakes.house import House
from tests.fakes.wire import Wire
from vpnws.control.api import live
from vpnws.control.api.live import MAX_WAITING_PARTS
from vpnws.control.rules import Pin, Rule
from vpnws.control.under_way import MAX_REQUESTS, max_requests
from vpnws.control.views import Who
from vpnws.server.inspect import policies

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.fakes.uwsgi import Request
    from vpnws.server.port.session import Session

DEEP = b"[" * 30_000 + b"]" * 30_000


@pytest.fixture
def house() -> Iterator[House]:
    with House() as built:
        yield built


def send(house: House, method: str, path: str, body: bytes, **headers: Any) -> tuple[int, Any]:
    """Send `body` as it is, with the token."""
    operator = Operator(house)
    told: dict[str, Any] = {
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json",
        "HTTP_X_VPNWS_TOKEN": operator.get("token")["token"],
        **headers,
    }
    return operator.ask(method, f"api/v1/{path}", **told)


def limits_of(house: House, user: str) -> dict[str, Any]:
    (port,) = Operator(house).get("ports", f"user={user}")["items"]
    found: dict[str, Any] = port["limits"]
    return found


class TestBodies:
    @pytest.mark.parametrize(
        "body",
        [
            b'{"user": "a", "limits": {"x": %s}}' % DEEP,
            b'{"user": %s, "limits": {}}' % DEEP,
            b'{"user": "\\ud800", "limits": {"stations": 2}}',
            b'{"user": "\xff", "limits": {"stations": 2}}',
            b'{"user": "a", "limits": {"stations": NaN}}',
        ],
    )
    def test_what_is_no_sane_json_is_refused(self, house: House, body: bytes) -> None:
        status, answer = send(house, "POST", "limits", body)
        assert status == 400
        assert answer["error"].startswith("the body does not fit")

    @pytest.mark.parametrize("length", ["²", "9" * 5000, "-1", "+1", "1_0", "65537", " 2"])
    def test_a_length_that_is_none_is_refused(self, house: House, length: str) -> None:
        assert send(house, "POST", "bans", b"{}", CONTENT_LENGTH=length)[0] == 413

    def test_a_body_that_does_not_arrive_is_said(self, house: House) -> None:
        class Broken(io.BytesIO):
            def read(self, _size: int | None = -1) -> bytes:
                raise OSError("timeout")

        status, answer = send(house, "POST", "bans", b"{}", **{"wsgi.input": Broken()})
        assert (status, answer["error"]) == (408, "the body did not arrive: send it again")

    @pytest.mark.parametrize(
        ("name", "numbers"),
        [
            ("storm_packets_per_s", (-1, 10**7 + 1, 10**30)),
            ("stations", (0, -1, 65537, 10**30)),
            ("egress_bytes", (0, 1, -1, 65535, 2**30 + 1, 10**30)),
        ],
    )
    def test_a_limit_that_no_setting_may_have_is_refused(
        self, house: House, name: str, numbers: tuple[int, ...]
    ) -> None:
        house.connect(1, REMOTE_USER="ada")
        before = limits_of(house, "ada")
        for number in numbers:
            body = {name: number}
            assert Operator(house).try_change("PATCH", "ports/1.1", body)[0] == 400
            made = Operator(house).try_change("POST", "limits", {"user": "ada", "limits": body})
            assert made[0] == 400
        assert limits_of(house, "ada") == before

    def test_a_ban_that_is_over_at_once_is_refused(self, house: House) -> None:
        assert Operator(house).try_change("POST", "bans", {"user": "a", "for_s": 1e-9})[0] == 400


class TestOperators:
    @pytest.mark.parametrize("user", ["b\xff\xfe", "n" * 4000, "a\nb\x1b[31m"])
    def test_an_operator_may_be_called_anything(self, house: House, user: str) -> None:
        house.connect(2, REMOTE_USER="eve")
        operator = Operator(house, user=user)
        made = operator.change("POST", "bans", {"user": "bob"})
        operator.change("POST", "pins", {"network": "x", "mac": "02:00:00:00:00:0a", "user": "a"})
        operator.change("POST", "ports/2.1/kick")
        assert made["by"].isprintable()
        assert len(made["by"]) <= 131
        (kick,) = operator.get("events", "event=kick")["items"]
        assert kick["fields"]["by"].isprintable()

    def test_names_that_look_alike_have_tokens_of_their_own(self, house: House) -> None:
        users = ("b\xff", "b\xfe", "b?", "n" * 4000, "n" * 4001)
        tokens = {Operator(house, user=user).get("token")["token"] for user in users}
        assert len(tokens) == len(users)


class TestExhaustion:
    def begin(self, house: House, count: int) -> list[Request]:
        return [Operator(house).begin("GET", "api/v1/status") for _ in range(count)]

    def test_while_a_process_hangs_requests_leave_cores_to_stations(self, house: House) -> None:
        house.processes[2].loop.is_paused = True
        asked = self.begin(house, MAX_REQUESTS)
        assert not any(request.is_over for request in asked)
        status, answer = Operator(house).ask("GET", "api/v1/status")
        assert (status, answer["error"][:8]) == (503, "too many")
        assert house.connect(1, REMOTE_USER="ada").status.startswith("101")
        house.loop.advance(5.0)
        assert {request.status for request in asked} == {"200 OK"}
        assert Operator(house).ask("GET", "api/v1/status")[0] == 200

    def test_an_answer_that_nobody_reads_counts_until_it_is_sent(self, house: House) -> None:
        wires = [Wire(house.loop, room_bytes=1, max_write_bytes=1) for _ in range(MAX_REQUESTS)]
        stuck = [Operator(house, wire=wire).begin("GET", "api/v1/status") for wire in wires]
        assert Operator(house).ask("GET", "api/v1/status")[0] == 503
        wires[0].break_off()
        house.loop.settle()
        assert stuck[0].is_over
        assert Operator(house).ask("GET", "api/v1/status")[0] == 200

    def test_a_request_that_fails_is_not_counted_for_ever(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as patched:
            patched.setattr("vpnws.control.app.read_query", fail)
            for _ in range(MAX_REQUESTS + 1):
                with pytest.raises(ZeroDivisionError):
                    Operator(house).begin("GET", "api/v1/status")
        assert Operator(house).ask("GET", "api/v1/status")[0] == 200

    def test_with_fewer_cores_stations_have_most_of_them(self) -> None:
        assert [max_requests(cores) for cores in (1, 16, 256, 4096)] == [1, 4, 64, 64]

    def test_a_stream_that_is_stuck_keeps_nothing_that_waits(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(live, "MAX_STREAMS", 2)
        stuck = Wire(house.loop, room_bytes=1, max_write_bytes=1)
        Operator(house, wire=stuck).begin("GET", "api/v1/stream")
        Operator(house, wire=Wire(house.loop, room_bytes=1 << 26)).begin("GET", "api/v1/stream")
        control = house.processes[1].application._control
        assert control is not None
        stream = control._app._live._streams[0]
        for _ in range(4 * MAX_WAITING_PARTS):
            house.loop.advance(1.0)
            assert len(stream._parts) <= MAX_WAITING_PARTS
        assert not stream._parts


class TestRules:
    def test_another_rule_does_not_undo_what_a_port_was_given_since(self, house: House) -> None:
        house.connect(1, REMOTE_USER="ada")
        operator = Operator(house, 2)
        operator.change("POST", "limits", {"user": "ada", "limits": {"stations": 3}})
        house.loop.advance(1.1)
        operator.change("PATCH", "ports/1.1", {"stations": 5})
        operator.change("POST", "bans", {"user": "bob"})
        house.loop.advance(2.1)
        assert limits_of(house, "ada")["stations"] == 5

    def test_a_rule_that_is_made_anew_holds_anew(self, house: House) -> None:
        house.connect(1, REMOTE_USER="ada")
        operator = Operator(house, 2)
        body = {"user": "ada", "limits": {"stations": 3}}
        for _ in range(2):
            operator.change("POST", "limits", body)
            operator.change("PATCH", "ports/1.1", {"stations": 5})
        operator.change("POST", "limits", body)
        assert limits_of(house, "ada")["stations"] == 3

    def test_many_bans_are_not_held_against_every_station_again(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(10):
            house.connect(1, REMOTE_USER=f"user{number}", REMOTE_ADDR="10.0.0.1")
        operator = Operator(house, 2)
        for number in range(50):
            operator.change("POST", "bans", {"addr": f"192.0.2.{number}"})
        house.loop.advance(2.0)
        held: list[int] = []
        fitting = policies._fitting

        def count(rules: Sequence[Rule], session: Session) -> list[Rule]:
            held.append(len(rules))
            return fitting(rules, session)

        monkeypatch.setattr(policies, "_fitting", count)
        operator.change("POST", "bans", {"addr": "198.51.100.1"})
        house.loop.advance(2.0)
        assert 10 <= sum(held) <= 20

    def test_names_with_separators_make_no_other_rule(self) -> None:
        assert Rule(user="a\0b").id != Rule(user="a", dn="b").id
        assert Pin(network="a", mac="b\0c").id != Pin(network="a\0b", mac="c").id

    @pytest.mark.parametrize("addr", ["", "unix:", "10.0.0.1%eth0", "fe80::1%x", "\udcff"])
    def test_an_address_that_is_none_is_within_no_network(self, addr: str) -> None:
        assert not Rule(addr="0.0.0.0/0").fits(Who(addr=addr), "lan")
