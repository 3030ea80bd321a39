"""What the doctor makes of the output of ip, bridge, nft and iptables, and of nginx's files."""

from __future__ import annotations

import fnmatch
import json

import pytest

from tests.support.sources import ROOT
from vpnws.config import Settings
from vpnws.doctor.facts import Bridge, Device, ForwardChain, Pass
from vpnws.doctor.firewall import read_chains, read_legacy
from vpnws.doctor.iproute import read_devices, read_learned
from vpnws.doctor.nginx import MAX_DEPTH, MAX_FILES, read_nginx, time_s

SOCKET = "/run/vpnws/vpnws.sock"
SETTINGS = Settings(socket=SOCKET, http="127.0.0.1:8080")


def test_devices_with_their_bridges_and_addresses() -> None:
    text = json.dumps(
        [
            {
                "ifname": "br0",
                "mtu": 1500,
                "flags": ["BROADCAST", "UP", "LOWER_UP"],
                "linkinfo": {
                    "info_kind": "bridge",
                    "info_data": {
                        "stp_state": 1,
                        "forward_delay": 1500,
                        "nf_call_iptables": 1,
                        "nf_call_arptables": 0,
                    },
                },
                "addr_info": [
                    {"local": "10.8.0.1", "prefixlen": 24, "scope": "global"},
                    {"local": "fe80::1", "prefixlen": 64, "scope": "link"},
                ],
            },
            {},
            {
                "ifname": "vpn0",
                "mtu": 1400,
                "flags": ["BROADCAST"],
                "master": "br0",
                "linkinfo": {
                    "info_kind": "tun",
                    "info_slave_kind": "bridge",
                    "info_slave_data": {"state": "learning"},
                },
                "stats64": {"rx": {"packets": 7}, "tx": {"packets": 9}},
            },
        ]
    )
    assert read_devices(text.encode()) == {
        "br0": Device(
            name="br0",
            kind="bridge",
            addresses=("10.8.0.1/24",),
            bridge=Bridge(has_stp=True, forward_delay_s=15.0, filters=frozenset({"ip"})),
        ),
        "vpn0": Device(
            name="vpn0",
            mtu_bytes=1400,
            is_up=False,
            kind="tun",
            master="br0",
            port_state="learning",
            rx_frames=7,
            tx_frames=9,
        ),
    }


def test_only_what_a_bridge_has_learned_counts() -> None:
    text = json.dumps(
        [
            {"mac": "33:33:00:00:00:01", "ifname": "eth1", "flags": ["self"], "state": "permanent"},
            {"mac": "02:00:00:00:00:01", "ifname": "eth1", "master": "br0", "state": "permanent"},
            {"mac": "02:00:00:00:00:02", "ifname": "eth1", "master": "br0", "state": ""},
            {"mac": "02:00:00:00:00:03", "ifname": "eth1", "master": "br0"},
        ]
    )
    assert read_learned(text.encode()) == {"eth1": 2}


@pytest.mark.parametrize("read", [read_devices, read_learned, read_chains])
def test_no_output_is_nothing_and_other_output_is_an_error(read: object) -> None:
    assert callable(read)
    assert not read(b"")
    with pytest.raises(ValueError, match=r"JSON|Expected"):
        read(b"Usage: ip ...")


def test_chains_of_the_hook_forward_count() -> None:
    chain = {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward"}
    text = json.dumps(
        {
            "nftables": [
                {"metainfo": {"version": "1.0.6"}},
                {"chain": {**chain, "policy": "drop"}},
                {"chain": {**chain, "name": "FWD", "family": "inet"}},
                {"chain": {**chain, "hook": "input", "policy": "drop"}},
                {"chain": {"family": "ip", "table": "filter", "name": "DOCKER-USER"}},
            ]
        }
    )
    assert read_chains(text.encode()) == [
        ForwardChain("ip", "filter", "FORWARD", "drop"),
        ForwardChain("inet", "filter", "FWD", "accept"),
    ]


def test_the_policy_of_the_older_tables() -> None:
    text = b"Chain FORWARD (policy DROP 3 packets, 252 bytes)\ntarget     prot opt source\n"
    assert read_legacy("ip6", text) == [ForwardChain("ip6", "filter", "FORWARD", "drop")]
    assert read_legacy("ip", b"") == []


class Files:
    """A directory of nginx's, in memory."""

    def __init__(self, **texts: str) -> None:
        self.texts = {name.replace("_", "."): text for name, text in texts.items()}
        self.reads = 0

    def read(self, pattern: str) -> list[str]:
        self.reads += 1
        return [text for name, text in self.texts.items() if fnmatch.fnmatch(name, pattern)]


def passes(text: str) -> list[Pass]:
    return list(read_nginx(Files(main=text).read, "main", SETTINGS, cores=4).passes)


class TestNginx:
    """nginx's configuration."""

    def test_its_defaults(self) -> None:
        found = read_nginx(Files(main="").read, "main", SETTINGS, cores=4)
        assert (found.processes, found.connections, found.max_fds) == (1, 512, None)

    def test_its_numbers(self) -> None:
        text = (
            "worker_processes auto; # as many as cores\n"
            "worker_rlimit_nofile 4096;\nevents { worker_connections 768; }"
        )
        found = read_nginx(Files(main=text).read, "main", SETTINGS, cores=4)
        assert (found.processes, found.connections, found.max_fds) == (4, 768, 4096)

    @pytest.mark.parametrize(
        "target",
        [
            f"uwsgi_pass unix:{SOCKET};",
            f'uwsgi_pass "unix:{SOCKET}";',
            "uwsgi_pass vpnws;",
            "uwsgi_pass uwsgi://vpnws;",
        ],
    )
    def test_a_location_that_leads_to_the_switch(self, target: str) -> None:
        text = (
            f"http {{ upstream vpnws {{ server unix:{SOCKET}; }}"
            f" server {{ location = /vpn {{ {target} }} }} }}"
        )
        assert passes(text) == [Pass("/vpn", "uwsgi_read_timeout", 60.0)]

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_a_location_that_leads_there_by_http(self, host: str) -> None:
        text = (
            f"http {{ proxy_read_timeout 1h; server {{ location /vpn {{"
            f" proxy_pass http://{host}:8080/; }} }} }}"
        )
        assert passes(text) == [Pass("/vpn", "proxy_read_timeout", 3600.0)]

    def test_a_location_that_leads_elsewhere(self) -> None:
        text = (
            "http { upstream other { server unix:/run/other.sock; } server {"
            " location /a { uwsgi_pass other; } location /b { proxy_pass http://127.0.0.1:80; }"
            " location /c { return 200; } } }"
        )
        assert passes(text) == []

    def test_the_innermost_timeout_counts(self) -> None:
        text = (
            f"http {{ uwsgi_read_timeout 1h; server {{ uwsgi_read_timeout 20;"
            f" location /a {{ uwsgi_pass unix:{SOCKET}; }}"
            f" location /b {{ uwsgi_pass unix:{SOCKET}; uwsgi_read_timeout 1m30s; }} }} }}"
        )
        assert [each.read_timeout_s for each in passes(text)] == [20.0, 90.0]

    def test_includes_are_followed(self) -> None:
        files = Files(
            main="http { include a.conf; include nothing.conf; }",
            a_conf="server { include b*; }",
            b1=f"location /x {{ uwsgi_pass unix:{SOCKET}; }}",
        )
        found = read_nginx(files.read, "main", SETTINGS, cores=1)
        assert [each.location for each in found.passes] == ["/x"]

    def test_a_file_that_includes_itself_ends(self) -> None:
        files = Files(main="include main; include main;")
        read_nginx(files.read, "main", SETTINGS, cores=1)
        assert files.reads <= 2 * MAX_FILES + 1

    @pytest.mark.parametrize(
        "text", ["{" * 100_000, "}" * 9, 'a "b', "include ;", "location {;", ";"]
    )
    def test_nonsense_is_nothing(self, text: str) -> None:
        assert passes(text) == []

    def test_blocks_may_be_nested(self) -> None:
        around = MAX_DEPTH - 2
        text = "http {" * around + f"location /x {{ uwsgi_pass unix:{SOCKET};" + "}" * (around + 1)
        assert len(passes(text)) == 1

    def test_quotes_comments_and_variables(self) -> None:
        text = (
            'log_format x \'{ "a": "$b"; }\'; # location /no { }\n'
            f'location ~ ^/v\\{{2\\}} {{ set $x "${{y}};"; uwsgi_pass unix:{SOCKET}; }}'
        )
        assert len(passes(text)) == 1

    def test_the_file_that_we_ship_is_understood(self) -> None:
        text = (ROOT / "deploy" / "nginx.conf").read_text()
        assert {each.location for each in passes(f"http {{ {text} }}")} == {
            "/vpn",
            "/cert",
            "/blue",
            "/red",
            "/vpn_admin",
        }
        assert {each.read_timeout_s for each in passes(f"http {{ {text} }}")} == {90.0}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90.0), ("60", 60.0), ("1m30s", 90.0), ("500ms", 0.5), ("1h", 3600.0), ("1d", 86400.0)],
)
def test_times_as_nginx_writes_them(text: str, seconds: float) -> None:
    assert time_s(text) == seconds
