"""A capture of real stations through nginx: live, of dropped frames too, for tshark and tcpdump."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.captures import statistics, tshark
from tests.support.plain_nginx import CONTROL, PlainNginx
from tests.support.prerequisites import require, require_root, require_tap
from tests.support.site import HOST_ADDRESS, BridgeSite, raw_socket
from tests.support.traffic import ping
from tests.support.vpn import TAP
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from tests.support.netns import Namespace

pytestmark = pytest.mark.netns

FIELDS = ("frame.interface_description", "frame.comment", "icmp.type", "lldp")
LLDP = bytes.fromhex("0180c200000e")


@contextmanager
def capturing(nginx: PlainNginx, query: str, file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Have curl write a capture to `file` until the block ends, and see that it has begun."""
    url = f"http://127.0.0.1:{nginx.port}{CONTROL}api/v1/capture?{query}"
    with subprocess.Popen(["curl", "-sSfN", "-o", str(file), url]) as curl:
        try:
            wait_for(lambda: file.exists() and file.stat().st_size > 0, 5, "the capture to begin")
            yield curl
        finally:
            curl.kill()


def ports(nginx: PlainNginx) -> dict[str, str]:
    """Return the id of each port by its address or device."""
    _, answer = nginx.get("api/v1/ports")
    return {item.get("device") or item["who"]["addr"]: item["id"] for item in answer["items"]}


def send_lldp(station: Namespace) -> None:
    """Send from a station's TAP what no bridge forwards (802.1Q 8.6.3)."""
    with raw_socket(station, TAP) as end:
        end.send(LLDP + station.mac(TAP) + b"\x88\xcc" + bytes(46))


def seen(file: Path) -> set[tuple[str, ...]]:
    """Return (user or device, comment, ICMP type) of each frame so far."""
    rows = tshark(file.read_bytes(), *FIELDS)
    return {(words_of(row[0]), row[1].replace(" at ", " ").split()[0], row[2]) for row in rows}


def wait_until_seen(ways: AbstractSet[tuple[str, ...]], file: Path) -> None:
    wait_for(lambda: ways <= seen(file), 10, f"the pings in {file.name}")


def words_of(description: str) -> str:
    words = dict(word.partition("=")[::2] for word in description.split())
    return words.get("device", words.get("addr", ""))


@pytest.mark.timeout(120)
def test_a_ping_and_a_dropped_frame_are_captured_as_they_pass(tmp_path: Path) -> None:
    require_root()
    require_tap()
    require("nginx", "tcpdump", "tshark", "capinfos", "curl", "ping")
    with BridgeSite() as site, PlainNginx(site.uwsgi.socket_path) as nginx:
        site.wait_for_uplink()
        clients = site.join_all()
        site.wait_until_reachable(0, 1)
        first = site.lan.stations[0]
        everything, drops = tmp_path / "all.pcapng", tmp_path / "drops.pcapng"

        with capturing(nginx, "", everything), capturing(nginx, "dropped=1", drops):
            for address in (site.address(1), HOST_ADDRESS):
                assert ping(first, address, count=1).received == 1
            send_lldp(first)
            one, two = (site.lan.address(index) for index in range(2))
            ways = {
                *((one, "in", "8"), (two, "out", "8"), (two, "in", "0"), (one, "out", "0")),
                *(("vpn0", "out", "8"), ("vpn0", "in", "0")),
            }
            wait_until_seen(ways, everything)
            wait_for(lambda: b"reserved" in drops.read_bytes(), 10, "the dropped frame")

        log = site.uwsgi.log_text
        wait_for(lambda: log().count("capture ended") == 2, 5, "the end of both captures")

        (row,) = [row for row in tshark(drops.read_bytes(), *FIELDS) if "reserved" in row[1]]
        assert words_of(row[0]) == one
        assert row[1].startswith("in at ")
        assert row[1].endswith(", dropped: reserved")
        assert row[3] == "lldp"
        shown = subprocess.run(
            ["tcpdump", "-nr", "-"],
            input=everything.read_bytes(),  # curl was killed in the middle of a block, perhaps.
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert b"ICMP echo request" in shown.stdout

        with ExitStack() as stack:
            files = {name: tmp_path / f"{port}.pcapng" for name, port in ports(nginx).items()}
            assert files.keys() == {one, two, "vpn0"}
            curls = {
                name: stack.enter_context(capturing(nginx, f"port={file.stem}", file))
                for name, file in files.items()
            }
            for address in (site.address(1), HOST_ADDRESS):
                assert ping(first, address, count=1).received == 1
            for name, file in files.items():
                wait_until_seen({way for way in ways if way[0] == name}, file)
                assert {way[0] for way in seen(file)} == {name}
            clients[1].stop()
            # Its port goes, and the capture of it ends by itself.
            assert curls[two].wait(10) == 0
            assert curls[one].poll() is None

        timed = tmp_path / "timed.pcapng"
        with capturing(nginx, "seconds=1&direction=in", timed) as curl:
            assert curl.wait(10) == 0
        told = subprocess.check_output(["capinfos", timed], text=True, timeout=60)
        assert "Capture application: vpnws" in told
        assert not any(lost for _, lost in statistics(timed.read_bytes()))
