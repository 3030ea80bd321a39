"""Captures as tcpdump and tshark read them: blocks, texts of strangers, counts."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.captures import statistics, tshark
from tests.support.frames import frame, ipv4, mac, udp
from vpnws.control import pcapng
from vpnws.control.pcapng import MAX_TEXT_BYTES, Direction, Packet, PcapngWriter

if TYPE_CHECKING:
    from pathlib import Path

NOW_S = 1_700_000_000.25
ANNA, BOB = ("2.7", "network=blue user=anna"), ("1.9", "network=blue user=bob")
"""Ports, and what is said of them."""
HOSTILE = "\"'; $(reboot) <script>\n\0\u202e\udcff" + "é" * MAX_TEXT_BYTES


def packet(
    data: bytes = b"",
    *,
    direction: Direction = "in",
    comment: str = "",
    time_s: float = NOW_S,
    size_bytes: int = 0,
    lost: int = 0,
) -> Packet:
    return Packet(
        time_s=time_s,
        data=data,
        size_bytes=size_bytes or len(data),
        direction=direction,
        comment=comment,
        lost=lost,
    )


class TestTwoPorts:
    @pytest.fixture
    def capture(self) -> bytes:
        writer = PcapngWriter(64, NOW_S)
        blocks = [
            writer.begin("0.1.0", "port 2.7"),
            writer.add_port(*ANNA),
            writer.add_port(*BOB),
            writer.add_packet("2.7", packet(ipv4(udp(bytes(1)), ports=()), comment="in at 2.7")),
            writer.add_port("2.7", "again"),
            writer.add_packet(
                "1.9",
                packet(
                    ipv4(udp(bytes(100)), ports=()),
                    direction="out",
                    comment="out at 1.9, dropped",
                    time_s=NOW_S + 1.000001,
                    lost=3,
                ),
            ),
            writer.add_packet("2.7", packet(frame(mac(1), mac(2), 60)[:20], size_bytes=64_000)),
        ]
        writer.lose("1.9", 4)
        assert (writer.packets, writer.lost) == (3, 7)
        return b"".join((*blocks, writer.end(NOW_S + 2)))

    def test_tshark_has_all_that_is_known_of_a_frame(self, capture: bytes) -> None:
        rows = tshark(
            capture,
            "frame.interface_name",
            "frame.interface_description",
            "frame.time_epoch",
            "frame.len",
            "frame.cap_len",
            "frame.packet_flags",
            "frame.comment",
            "frame.drop_count",
        )
        flags_in, flags_out = "0x00000001", "0x00000002"
        assert rows == [
            [*ANNA, "1700000000.250000000", "43", "43", flags_in, "in at 2.7", ""],
            [*BOB, "1700000001.250001000", "142", "64", flags_out, "out at 1.9, dropped", "3"],
            [*ANNA, "1700000000.250000000", "64000", "20", flags_in, "", ""],
        ]

    def test_capinfos_knows_who_wrote_it_and_what_was_lost(
        self, capture: bytes, tmp_path: Path
    ) -> None:
        file = tmp_path / "capture.pcapng"
        file.write_bytes(capture)
        told = subprocess.check_output(["capinfos", file], text=True, timeout=60)
        assert "Capture application: vpnws 0.1.0" in told
        assert "Capture comment:     port 2.7" in told
        assert "Number of packets:   3" in told
        assert "Name = 1.9" in told
        assert "Number of packets = 1" in told
        assert "Number of stat entries = 1" in told

    def test_the_statistics_count_what_was_lost(self, capture: bytes) -> None:
        assert statistics(capture) == [(2, 0), (8, 7)]

    def test_tcpdump_reads_it_from_a_pipe(self, capture: bytes) -> None:
        told = subprocess.run(
            ["tcpdump", "-nr", "-"], input=capture, capture_output=True, check=True, timeout=60
        )
        assert told.stdout.decode().count("10.0.0.1.1000 > 10.0.0.2.2000: UDP") == 2


def test_no_text_breaks_a_block() -> None:
    writer = PcapngWriter(1000, NOW_S)
    blocks = [
        writer.begin(HOSTILE, HOSTILE),
        writer.add_port(HOSTILE, HOSTILE),
        writer.add_packet(HOSTILE, packet(frame(mac(1), mac(2)), comment=HOSTILE)),
        writer.add_port("1.1", ""),
        writer.add_packet("1.1", packet(frame(mac(1), mac(2)), comment="the last")),
        writer.end(NOW_S),
    ]
    command = ["tshark", "-n", "-r", "-", "-T", "json", "-e", "frame.comment"]
    done = subprocess.run(command, input=b"".join(blocks), stdout=-1, check=True, timeout=60)
    comments = [each["_source"]["layers"].get("frame.comment") for each in json.loads(done.stdout)]
    assert len(comments) == 2
    assert comments[1] == ["the last"]


def test_ports_that_find_no_room_share_an_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcapng, "MAX_INTERFACES", 3)
    writer = PcapngWriter(1000, NOW_S)
    blocks = [writer.begin("1", "")]
    for number in range(6):
        blocks.append(writer.add_port(f"1.{number}", ""))
        blocks.append(writer.add_packet(f"1.{number}", packet(frame(mac(1), mac(2)))))
    names = [row[0] for row in tshark(b"".join(blocks), "frame.interface_name")]
    assert names == ["1.0", "1.1", *["others"] * 4]
