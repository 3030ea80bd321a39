"""What holds for every stream of WebSocket frames, and for every stream of bytes that is none."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ProtocolError
from websockets.frames import Close, Frame, Opcode

from tests.unit.reference_websocket import (
    CONTROL_FRAME_BYTES,
    MAXIMUM_BYTES,
    Oracle,
    OurReader,
    frame,
    header,
    oracle_reads,
    patterned,
    we_read,
)
from vpnws.wire.decoder import ReceiveState
from vpnws.wire.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    MESSAGE_TOO_BIG,
    NO_STATUS,
    PING,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    close_payload,
    encode,
    encode_binary,
    encode_masked,
)

few = settings(max_examples=30, deadline=None)
many = settings(max_examples=100, deadline=None)

keys = st.binary(min_size=4, max_size=4)
short_payloads = st.binary(max_size=20)
edge_payloads = st.sampled_from([0, 1, 125, 126, 127, 1514, 65535, 65536, 70_000]).map(patterned)
payloads = short_payloads | st.binary(max_size=300) | edge_payloads
control_payloads = st.binary(max_size=125)
close_codes = st.sampled_from([1000, 1001, 1003, 1007, 1014, 3000, 4999])
closes = st.just(b"") | st.builds(close_payload, close_codes, st.text(max_size=10))
anything = st.binary(max_size=30)
"""What a stranger adds after his close; nobody may look at it."""


def frames(first: int, payload: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Client frames with any key; data frames in any length form that fits."""
    forms = st.sampled_from([0, 126, 127]) if first & 0x0F < CLOSE else st.just(0)
    return st.builds(frame, st.just(first), payload, keys, forms)


controls = frames(FIN | PING, control_payloads) | frames(FIN | PONG, control_payloads)


@st.composite
def messages(draw: st.DrawFn, payload: st.SearchStrategy[bytes]) -> list[bytes]:
    """The frames of one message, in fragments, with control frames between them."""
    opcode = draw(st.sampled_from([BINARY, BINARY, TEXT]))
    content = draw(payload) if opcode == BINARY else draw(st.text(max_size=30)).encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(content)), max_size=4)))
    edges = [0, *cuts, len(content)]
    wire = []
    for at, (start, stop) in enumerate(itertools.pairwise(edges)):
        first = (CONTINUATION if at else opcode) | (FIN if at == len(cuts) else 0)
        wire.append(draw(frames(first, st.just(content[start:stop]))))
        if at < len(cuts):
            wire += draw(st.lists(controls, max_size=2))
    return wire


@st.composite
def conversations(draw: st.DrawFn, payload: st.SearchStrategy[bytes] = payloads) -> list[bytes]:
    """The frames of a legal stream; perhaps a close at its end and something after it."""
    parts = draw(st.lists(messages(payload) | controls.map(lambda wire: [wire]), max_size=5))
    wire = [part for message in parts for part in message]
    if draw(st.booleans()):
        wire += [draw(frames(FIN | CLOSE, closes)), draw(anything)]
    return wire


@st.composite
def odd_frames(draw: st.DrawFn) -> bytes:
    """A whole frame with any first byte, mostly a likely one; a close is wrong in one way only."""
    usual = [BINARY, TEXT, CONTINUATION, PING, PONG, CLOSE]
    likely = st.sampled_from([*usual, *(FIN | opcode for opcode in usual)])
    first = draw(likely | likely | likely | st.integers(0, 255))
    if first & 0x0F == CLOSE:
        wrong_code = st.builds(lambda code: code.to_bytes(2, "big") + b"why", st.integers(0, 65535))
        wrong_reason = st.binary(max_size=20).map(lambda reason: b"\x03\xe8" + reason)
        content = closes | st.binary(max_size=1) | wrong_code | wrong_reason
    else:
        content = short_payloads | st.just(patterned(126))
    return frame(first, draw(content), draw(keys))


odd_streams = st.lists(odd_frames(), max_size=8)
"""Frames legal one by one, most of them, and seldom as a stream."""


@st.composite
def garbage(draw: st.DrawFn) -> bytes:
    """Bytes that may look like frames for a while: a legal stream, bitten into, or just bytes."""
    stream = bytearray(b"".join(draw(conversations(short_payloads) | odd_streams)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(stream)))
        stream[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
    return bytes(stream) + draw(st.binary(max_size=40))


@st.composite
def chunked(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    """`stream` cut anywhere, any number of times."""
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return [stream[start:stop] for start, stop in itertools.pairwise([0, *cuts, len(stream)])]


@many
@given(st.data(), conversations())
def test_any_conversation_in_any_chunks_is_what_the_oracle_reads(
    data: st.DataObject, wire: list[bytes]
) -> None:
    stream = b"".join(wire)
    ours = we_read(data.draw(chunked(stream)))
    assert ours == oracle_reads(stream)
    assert ours.code is None or ours.by_peer


@many
@given(conversations(short_payloads))
def test_every_split_in_two_reads_the_same(wire: list[bytes]) -> None:
    stream = b"".join(wire)
    expected = oracle_reads(stream)
    for cut in range(len(stream) + 1):
        assert we_read([stream[:cut], stream[cut:]]) == expected


@many
@given(st.lists(messages(short_payloads), max_size=3), st.lists(st.booleans(), min_size=1))
def test_masked_and_unmasked_frames_mix(parts: list[list[bytes]], masks: list[bool]) -> None:
    """On purpose: the library wants all frames masked or none, depending on its end; we hear any.
    So it reads the masked stream, and we one in which some of the masks are taken off."""
    wire = [part for message in parts for part in message]
    mixed = [
        part if masked else _unmasked(part)
        for part, masked in zip(wire, itertools.cycle(masks), strict=False)
    ]
    assert we_read([b"".join(mixed)]) == oracle_reads(b"".join(wire))


def _unmasked(wire: bytes) -> bytes:
    oracle = Oracle()
    oracle.read(bytes([FIN | BINARY]) + wire[1:])
    return frame(wire[0], bytes(oracle.frames[0].data), key=None)


@many
@given(st.data(), conversations() | garbage().map(lambda stream: [stream]))
def test_moving_the_state_changes_nothing(data: st.DataObject, wire: list[bytes]) -> None:
    """A new decoder with a pickled copy of the state goes on as the old one would have."""
    stream = b"".join(wire)
    staying, moving = OurReader(MAXIMUM_BYTES), OurReader(MAXIMUM_BYTES)
    for chunk in data.draw(chunked(stream)):
        staying.read(chunk)
        moving.read(chunk)
        assert moving.decoder.state == staying.decoder.state
        moving.move()
    assert moving.reading == staying.reading == we_read([stream])


@many
@given(garbage())
def test_the_state_may_move_at_every_byte(stream: bytes) -> None:
    reader = OurReader(100)
    for byte in stream:
        reader.read(bytes([byte]))
        reader.move()
    assert reader.reading == we_read([stream], 100)


@many
@given(st.data(), garbage(), st.integers(0, 200), st.booleans())
def test_garbage_in_any_chunks(
    data: st.DataObject, stream: bytes, maximum: int, accept_text: bool
) -> None:
    """It never raises, means the same in any chunks, and never holds more than its bound."""
    reader = OurReader(maximum, accept_text=accept_text)
    for chunk in data.draw(chunked(stream)):
        reader.read(chunk)
        assert reader.kept_bytes() < maximum + CONTROL_FRAME_BYTES
        if reader.reading.code is not None:
            assert reader.decoder.state == ReceiveState()
    assert reader.reading == we_read([stream], maximum, accept_text=accept_text)


@many
@given(odd_streams)
def test_whole_frames_in_any_order_end_as_the_oracle_says(wire: list[bytes]) -> None:
    """On purpose, as everywhere: a close inside a message is a close to us, an error to it."""
    stream = b"".join(wire)
    ours, oracle = we_read([stream]), Oracle()
    oracle.read(stream)
    judged = oracle.reading()
    # A text before it that is not UTF-8 has ended the stream already.
    if oracle.error == "incomplete fragmented message" and judged.code == PROTOCOL_ERROR:
        assert ours.by_peer
    else:
        assert ours == judged


@many
@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=8), st.integers(0, 30))
def test_sizes_are_refused_where_the_oracle_refuses_them(
    fragments: list[tuple[int, bool]], maximum: int
) -> None:
    """Each frame's header is read before its body by both, and the same one ends it."""
    reader, oracle = OurReader(maximum), Oracle(maximum)
    opcode = BINARY
    for length, final in fragments:
        wire = frame((FIN if final else 0) | opcode, patterned(length))
        head = header((FIN if final else 0) | opcode, length)
        for part in (head, wire[len(head) :]):
            reader.read(part)
            oracle.read(part)
            assert reader.reading == oracle.reading()
        opcode = BINARY if final else CONTINUATION
    assert reader.reading.code in (None, MESSAGE_TOO_BIG)


@few
@given(payloads, keys)
def test_data_frames_are_read_back_by_the_library(payload: bytes, key: bytes) -> None:
    for opcode in (Opcode.TEXT, Opcode.BINARY):
        expected = [Frame(opcode, payload)]
        assert _read_back(encode_masked(opcode, payload, key), masked=True) == expected
        assert _read_back(encode(opcode, payload), masked=False) == expected
    assert _read_back(encode_binary(payload), masked=False) == [Frame(Opcode.BINARY, payload)]


@few
@given(control_payloads, keys)
def test_control_frames_are_read_back_by_the_library(payload: bytes, key: bytes) -> None:
    for opcode in (Opcode.PING, Opcode.PONG):
        expected = [Frame(opcode, payload)]
        assert _read_back(encode_masked(opcode, payload, key), masked=True) == expected
        assert _read_back(encode(opcode, payload), masked=False) == expected


def _read_back(wire: bytes, *, masked: bool) -> list[Frame]:
    oracle = Oracle(masked=masked)
    oracle.read(wire)
    assert not oracle.error
    return oracle.frames


@many
@given(st.integers(-10, 70_000) | close_codes, st.text(max_size=200))
def test_any_ending_is_written_as_a_legal_close(code: int, reason: str) -> None:
    """Whatever code and reason, the library takes the frame and reads what fits of them."""
    oracle = Oracle()
    oracle.read(encode_masked(CLOSE, close_payload(code, reason), b"abcd"))
    assert not oracle.error
    cut = reason.encode()[:123].decode(errors="ignore")
    expected = Close(code, cut) if _library_would_send(code) else Close(NO_STATUS, "")
    assert oracle.protocol.close_rcvd == expected


def test_every_close_code_is_judged_as_the_library_judges_it() -> None:
    for code in range(65536):
        ours = we_read([frame(FIN | CLOSE, code.to_bytes(2, "big"), key=None)])
        assert ours.code == (code if _library_would_send(code) else PROTOCOL_ERROR)


def _library_would_send(code: int) -> bool:
    try:
        Close(code, "").check()
    except ProtocolError:
        return False
    return True


@many
@given(close_codes, st.text(st.characters(), max_size=130))
def test_any_reason_has_a_form_that_fits(code: int, reason: str) -> None:
    """Also one with lone surrogates, as text from outside decoded with surrogateescape has."""
    heard = Close.parse(close_payload(code, reason))
    assert heard.code == code
    assert reason.encode(errors="replace").decode().startswith(heard.reason)
    assert len(heard.reason.encode()) > 123 - 4 or len(heard.reason) == len(reason)
