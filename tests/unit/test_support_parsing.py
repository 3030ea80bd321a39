"""What the harness reads from other programs' output, and what it says when one is missing."""

import os
import re
import socket
import struct

import pytest

from tests.support import prerequisites, uwsgi
from tests.support.netns import MAX_STATIONS, Lan
from tests.support.traffic import is_listening, parse_ping, read_pcap

PING = """\
PING 10.99.0.12 (10.99.0.12) 56(84) bytes of data.
64 bytes from 10.99.0.12: icmp_seq=1 ttl=64 time=0.042 ms
64 bytes from 10.99.0.12: icmp_seq=1 ttl=64 time=0.050 ms (DUP!)
64 bytes from 10.99.0.12: icmp_seq=3 ttl=64 time=12 ms

--- 10.99.0.12 ping statistics ---
3 packets transmitted, 2 received, +1 duplicates, 33.3333% packet loss, time 2050ms
rtt min/avg/max/mdev = 0.042/4.031/12.000/5.6 ms
"""

UWSGI_LOG = """\
spawned uWSGI master process (pid: 100)
spawned uWSGI worker 2 (pid: 103, cores: 32)
spawned uWSGI worker 1 (pid: 102, cores: 32)
spawned uWSGI mule 1 (pid: 104)
DAMN ! worker 1 (pid: 102) died, killed by signal 9 :( trying respawn ...
Respawned uWSGI worker 1 (new pid: 110)
spawned uWSGI worker 10 (pid: 111, cores: 32)
"""


def test_ping_counts_duplicates_apart() -> None:
    result = parse_ping(PING)
    assert (result.sent, result.received, result.duplicates) == (3, 2, 1)
    assert result.rtts_ms == [0.042, 12.0]


def test_ping_without_an_answer() -> None:
    result = parse_ping("2 packets transmitted, 0 received, 100% packet loss, time 1ms\n")
    assert (result.sent, result.received, result.rtts_ms) == (2, 0, [])


def test_ping_that_printed_something_else() -> None:
    with pytest.raises(ValueError, match="no summary"):
        parse_ping("ping: usage")


def pcap(*frames: bytes) -> bytes:
    records = (struct.pack("=IIII", 1, 2, len(frame), len(frame)) + frame for frame in frames)
    return bytes(24) + b"".join(records)


def test_pcap_frames_and_a_last_one_cut_short() -> None:
    whole = pcap(b"first frame", b"", b"third")
    assert read_pcap(whole) == [b"first frame", b"", b"third"]
    assert read_pcap(whole[:-1]) == [b"first frame", b""]
    assert read_pcap(whole[: -len(b"third") - 1]) == [b"first frame", b""]
    assert read_pcap(b"") == []


def test_newest_pids_follow_respawns_in_numeric_order() -> None:
    assert uwsgi.newest_pids(uwsgi._WORKER, UWSGI_LOG) == [110, 103, 111]
    assert uwsgi.newest_pids(uwsgi._MULE, UWSGI_LOG) == [104]


def test_a_worker_without_company_is_found() -> None:
    log = "spawned uWSGI worker 1 (and the only) (pid: 7, cores: 1)\n"
    assert uwsgi.newest_pids(uwsgi._WORKER, log) == [7]


@pytest.mark.parametrize(
    ("http", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("0.0.0.0:81", ("127.0.0.1", 81)),
        (":82", ("127.0.0.1", 82)),
        ("[::]:84", ("::1", 84)),
        ("[::1]:83", ("::1", 83)),
    ],
)
def test_where_to_connect_for_http(http: str, address: tuple[str, int]) -> None:
    assert uwsgi.Uwsgi(http=http).http_address == address


def test_is_listening_sees_both_families() -> None:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.create_server((host, 0), family=family) as server:
            port = server.getsockname()[1]
            assert is_listening(os.getpid(), port)
        assert not is_listening(os.getpid(), port)


def test_a_lan_has_a_bound() -> None:
    with pytest.raises(ValueError, match="200 stations"):
        Lan(MAX_STATIONS + 1)


def test_a_missing_tool_skips_here_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    prerequisites.require("sh", "ls")
    with pytest.raises(pytest.skip.Exception, match="no-such-tool"):
        prerequisites.require("sh", "no-such-tool")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-tool"):
        prerequisites.require("no-such-tool")


def test_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(pytest.skip.Exception, match="root"):
        prerequisites.require_root()
    with pytest.raises(pytest.skip.Exception, match="root"):
        prerequisites.require_tap()


def test_deploy_conf_grants_names_only_where_they_are_checked() -> None:
    """`$remote_user` is an unchecked claim wherever auth_basic does not stand."""
    text = (uwsgi.REPOSITORY / "deploy" / "nginx.conf").read_text()
    text = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    blocks = re.findall(r"location = (\S+) \{(.*?)\n    \}", text, flags=re.DOTALL)
    assert {path for path, _body in blocks} == {"/vpn", "/cert", "/blue", "/red"}
    for path, body in blocks:
        names = re.findall(r"uwsgi_param\s+(\S+)", body)
        assert len(names) == len(set(names)), path
        assert "include     uwsgi_params;" in body, path
        assert ("$remote_user" in body) == ("auth_basic_user_file" in body), path
        assert ("$ssl_client_s_dn" in body) == ("$ssl_client_verify != SUCCESS" in body), path
    assert not set(re.findall(r"\$http_(\w+)", text)) - {"user_agent"}
