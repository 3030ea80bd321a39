"""The raw client against an independent server: websockets' own, on the loopback."""

import threading
from collections.abc import Iterator
from http import HTTPStatus

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame as OracleFrame
from websockets.frames import Opcode
from websockets.http11 import Request, Response
from websockets.streams import StreamReader
from websockets.sync.server import ServerConnection, serve

from tests.support.raw_client import KEY, RawClient, accept_value, basic
from tests.support.raw_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    Frame,
    apply_key,
    encode_frame,
)


def echo(connection: ServerConnection) -> None:
    """Echo messages; `ping` asks for a ping first, so that a client's pong can be seen."""
    try:
        for message in connection:
            if message == b"ping":
                assert connection.ping(b"abc").wait(5)
            connection.send(message)
    except ConnectionClosed:
        pass


def door(connection: ServerConnection, request: Request) -> Response | None:
    if request.path == "/no":
        return connection.respond(HTTPStatus.FORBIDDEN, request.headers.get("Authorization", "-"))
    return None


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serve(echo, "127.0.0.1", 0, process_request=door, ping_interval=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join(5)


@pytest.fixture
def client(port: int) -> Iterator[RawClient]:
    with RawClient("127.0.0.1", port, timeout_s=3) as connected:
        yield connected


def test_upgrade_and_echo_at_every_length_form(client: RawClient) -> None:
    answer = client.upgrade("/", subprotocols=None)
    assert answer.status == 101
    assert answer.headers["SEC-WEBSOCKET-ACCEPT"] == accept_value(KEY)
    for length in (0, 1, 125, 126, 65535, 65536):
        client.send_frame(bytes(length))
        assert client.read_frame() == Frame(True, 0, BINARY, bytes(length))


def test_the_accept_value_is_the_one_in_rfc_6455_1_3() -> None:
    assert accept_value("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_a_refusal_has_status_headers_and_body(client: RawClient) -> None:
    answer = client.upgrade("/no", [basic("alice", "open sesame")])
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert answer.body == b"Basic YWxpY2U6b3BlbiBzZXNhbWU="


def test_headers_can_be_left_out(client: RawClient) -> None:
    assert client.upgrade(version=None).status == 400


def test_fragments_are_the_callers_business(client: RawClient) -> None:
    client.upgrade()
    client.send_bytes(
        encode_frame(BINARY, b"ab", fin=False) + encode_frame(CONTINUATION, b"c", mask=b"wxyz")
    )
    assert client.read_message() == b"abc"


def test_read_message_answers_pings(client: RawClient) -> None:
    client.upgrade()
    client.send_frame(b"ping")
    assert client.read_message() == b"ping"


def test_pong_and_close_are_read_as_they_are(client: RawClient) -> None:
    client.upgrade()
    client.send_frame(b"hi", PING)
    assert client.read_frame() == Frame(True, 0, PONG, b"hi")
    client.send_frame((1000).to_bytes(2) + b"done", CLOSE)
    closing = client.read_close()
    assert (closing.close_code, closing.close_reason) == (1000, "done")
    assert client.is_closed(3)


def test_a_violation_is_sent_and_its_answer_seen(client: RawClient) -> None:
    client.upgrade()
    client.send_bytes(encode_frame(BINARY, b"x", rsv=4))
    with pytest.raises(EOFError, match="1002"):
        client.read_message()


def test_silence_is_told_from_an_end(client: RawClient) -> None:
    client.upgrade()
    assert client.reads_nothing(0.05)
    assert not client.is_closed(0.05)
    with pytest.raises(TimeoutError):
        client.read_frame(0.05)
    client.send_frame(b"", CLOSE)
    client.read_close()
    assert not client.reads_nothing(3)
    with pytest.raises(EOFError):
        client.read_frame()


@pytest.mark.parametrize("length", [0, 5, 125, 126, 65535, 65536])
@pytest.mark.parametrize("mask", [None, MASK])
def test_legal_frames_are_what_websockets_reads(length: int, mask: bytes | None) -> None:
    payload = bytes(index & 0xFF for index in range(length))
    reader = StreamReader()
    reader.feed_data(encode_frame(BINARY, payload, fin=False, rsv=0, mask=mask))
    parsing = OracleFrame.parse(reader.read_exact, mask=mask is not None)
    with pytest.raises(StopIteration) as done:
        next(parsing)
    frame = done.value.value
    assert (frame.opcode, frame.data, frame.fin) == (Opcode.BINARY, payload, False)


def test_lengths_may_lie() -> None:
    assert encode_frame(BINARY, b"ab", mask=None, length_bytes=2) == b"\x82\x7e\x00\x02ab"
    assert encode_frame(BINARY, mask=None, claimed_length=1 << 63) == b"\x82\x7f\x80" + bytes(7)


def test_masking_twice_is_nothing() -> None:
    assert apply_key(MASK, apply_key(MASK, b"hello")) == b"hello"
    assert apply_key(b"", b"hello") == b"hello"
