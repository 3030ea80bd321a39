"""`vpnws.offload.1` on the real server: who gets records, who gets frames, who is turned away."""

from __future__ import annotations

import itertools

import pytest

from tests.live.server import Station, TwoWorkers, reach
from tests.support.frames import frame, mac
from tests.support.raw_frames import BINARY, TEXT, encode_frame
from vpnws.wire.records import (
    MAX_FRAME_BYTES,
    MAX_RECORDS_BYTES,
    SUBPROTOCOL,
    decode_records,
    encode_record,
)

WORKERS = [(1, 1), (1, 2)]
LIE = encode_record(bytes(100), b"\x01\x01" + bytes(8))


def records(*frames: bytes) -> bytes:
    return b"".join(map(encode_record, frames))


def frames_until(station: Station, count: int) -> list[bytes]:
    """Read messages until they have `count` records; return the frames."""
    frames: list[bytes] = []
    while len(frames) < count:
        frames += [one for _, one in decode_records(station.client.read_message())]
    return frames


class TestChoice:
    @pytest.mark.parametrize("offer", [SUBPROTOCOL, f"binary, {SUBPROTOCOL}"])
    def test_it_is_preferred(self, either: TwoWorkers, offer: str) -> None:
        with either.connect() as client:
            assert client.upgrade(subprotocols=offer).headers["Sec-WebSocket-Protocol"] == (
                SUBPROTOCOL
            )

    @pytest.mark.parametrize(
        ("offer", "chosen"), [(SUBPROTOCOL, None), (f"{SUBPROTOCOL}, binary", "binary")]
    )
    def test_where_it_is_off_it_is_not_chosen(self, offer: str, chosen: str | None) -> None:
        with TwoWorkers({"vpnws-offload": "off"}) as server, server.connect() as client:
            answer = client.upgrade(subprotocols=offer)
            assert answer.status == 101
            assert answer.headers["Sec-WebSocket-Protocol"] == chosen

    @pytest.mark.parametrize("receiver", ["stream", "native"])
    def test_and_frames_are_plain_then(self, receiver: str) -> None:
        settings = {"vpnws-offload": "off", "vpnws-receiver": receiver}
        with TwoWorkers(settings) as server, server.station() as plain:
            with server.connect() as client:
                station = Station(client, mac(0xABCD))
                assert client.upgrade(headers=[station.header], subprotocols=SUBPROTOCOL)
                reach(station.joined(), plain)


@pytest.mark.parametrize("workers", WORKERS)
class TestRecords:
    def test_pass_between_offload_stations(
        self, either: TwoWorkers, workers: tuple[int, int]
    ) -> None:
        with (
            either.offload_station(workers[0]) as one,
            either.offload_station(workers[1]) as other,
        ):
            sent = [frame(other.mac, one.mac, size) for size in (60, 1514, 9000, 14)]
            one.client.send_frame(records(*sent))
            assert frames_until(other, 4) == sent

    def test_become_frames_for_a_plain_station(
        self, either: TwoWorkers, workers: tuple[int, int]
    ) -> None:
        with either.offload_station(workers[0]) as one, either.station(workers[1]) as plain:
            sent = [frame(plain.mac, one.mac, size) for size in (60, 61, 62)]
            one.client.send_frame(records(*sent))
            assert [plain.client.read_message() for _ in sent] == sent
            back = plain.send(one.mac)
            assert frames_until(one, 1) == [back]

    def test_that_come_together_share_a_message(
        self, either: TwoWorkers, workers: tuple[int, int]
    ) -> None:
        """These frames came one by one. None waits for another, but frames that are ready together
        share a message.
        """
        with either.station(workers[0]) as plain, either.offload_station(workers[1]) as other:
            sent = [frame(other.mac, plain.mac, size) for size in range(60, 160)]
            plain.client.send_bytes(b"".join(encode_frame(BINARY, each) for each in sent))
            messages: list[list[bytes]] = []
            while sum(map(len, messages)) < len(sent):
                messages.append([one for _, one in decode_records(other.client.read_message())])
            assert list(itertools.chain(*messages)) == sent
            assert len(messages) < len(sent) / 2

    def test_of_the_greatest_length_pass(
        self, either: TwoWorkers, workers: tuple[int, int]
    ) -> None:
        with (
            either.offload_station(workers[0]) as one,
            either.offload_station(workers[1]) as other,
        ):
            sent = frame(other.mac, one.mac, 65535)
            one.client.send_frame(encode_record(sent))
            assert frames_until(other, 1) == [sent]


class TestLies:
    def test_are_dropped_and_counted(self, either: TwoWorkers) -> None:
        with either.offload_station() as one, either.offload_station() as other:
            good = frame(other.mac, one.mac)
            one.client.send_frame(LIE + records(good) + b"\0\0")
            assert frames_until(other, 1) == [good]
        either.wait_for_log("offload=2")

    def test_a_message_past_the_bound_ends_the_port(self, stream: TwoWorkers) -> None:
        with stream.offload_station() as one:
            one.client.send_frame(bytes(MAX_RECORDS_BYTES + 1))
            assert one.client.read_close().close_code == 1009

    def test_text_ends_the_port(self, stream: TwoWorkers) -> None:
        with stream.offload_station() as one:
            one.client.send_frame(b"{}", TEXT)
            assert one.client.read_close().close_code == 1003

    def test_a_message_of_nothing_but_heads_is_quickly_over(self, either: TwoWorkers) -> None:
        with either.offload_station() as one, either.offload_station() as other:
            one.client.send_frame(bytes(MAX_RECORDS_BYTES))
            good = frame(other.mac, one.mac)
            one.client.send_frame(records(good))
            assert frames_until(other, 1) == [good]

    def test_a_frame_longer_than_any_is_dropped(self, either: TwoWorkers) -> None:
        with either.offload_station() as one, either.offload_station() as other:
            one.client.send_frame(encode_record(frame(other.mac, one.mac, MAX_FRAME_BYTES + 1)))
            good = frame(other.mac, one.mac)
            one.client.send_frame(records(good))
            assert frames_until(other, 1) == [good]
