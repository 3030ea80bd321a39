"""RFC 6455 rules, section by section, held by our decoder and shown by an independent one."""

from __future__ import annotations

import itertools
import pickle
import sys

import pytest
from websockets.frames import Close, Frame, Opcode

from tests.unit.reference_websocket import (
    CONTROL_FRAME_BYTES,
    KEY,
    MAXIMUM_BYTES,
    Oracle,
    OurReader,
    Reading,
    frame,
    header,
    oracle_reads,
    patterned,
    we_read,
)
from vpnws.wire.decoder import Decoder, ReceiveState
from vpnws.wire.websocket import (
    ABNORMAL,
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    GOING_AWAY,
    INVALID_DATA,
    MAX_FRAGMENTS,
    MESSAGE_TOO_BIG,
    NO_STATUS,
    NORMAL,
    PING,
    PONG,
    PROTOCOL_ERROR,
    SERVICE_RESTART,
    TEXT,
    UNSUPPORTED_DATA,
    Ending,
    close_payload,
    encode,
    encode_binary,
    encode_header,
    encode_masked,
)

LENGTHS = [0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 1514, 65535, 65536, 65537, 200_000]
MESSAGE = frame(FIN | BINARY, b"before")
UNFINISHED = frame(BINARY, b"half")

EVERYTHING = b"".join(
    (
        frame(FIN | BINARY, b"one"),
        frame(BINARY, b"t"),
        frame(FIN | PING, b"early"),
        frame(CONTINUATION, b"", key=b"\0\0\0\0"),
        frame(FIN | PONG, b"?"),
        frame(FIN | CONTINUATION, b"wo", form=126),
        frame(FIN | TEXT, "é".encode(), form=127),
        frame(FIN | BINARY),
        frame(FIN | PING),
        frame(FIN | CLOSE, close_payload(GOING_AWAY, "bye")),
        frame(FIN | BINARY, b"unheard"),
    )
)
EVERYTHING_READ = Reading([b"one", b"two", b""], ["é"], b"", GOING_AWAY, by_peer=True)


def assert_both_end(stream: bytes, code: int) -> None:
    """Both parsers end `stream` with `code` by their own judgement, after the same messages."""
    ours, theirs = we_read([MESSAGE + stream]), oracle_reads(MESSAGE + stream)
    assert (ours.code, ours.by_peer) == (code, False)
    assert ours.messages == [b"before"]
    assert ours == theirs


def our_ending(stream: bytes, *, accept_text: bool = True) -> int | None:
    return we_read([stream], accept_text=accept_text).code


class TestChunks:
    """However the bytes arrive, they mean the same."""

    def test_whole(self) -> None:
        assert we_read([EVERYTHING]) == EVERYTHING_READ == oracle_reads(EVERYTHING)

    def test_byte_by_byte(self) -> None:
        assert we_read(bytes([byte]) for byte in EVERYTHING) == EVERYTHING_READ

    def test_every_split_in_two(self) -> None:
        for cut in range(len(EVERYTHING) + 1):
            assert we_read([EVERYTHING[:cut], EVERYTHING[cut:]]) == EVERYTHING_READ, cut

    def test_every_split_in_three(self) -> None:
        for cut, again in itertools.combinations(range(len(EVERYTHING) + 1), 2):
            chunks = [EVERYTHING[:cut], EVERYTHING[cut:again], EVERYTHING[again:]]
            assert we_read(chunks) == EVERYTHING_READ, (cut, again)

    def test_state_moved_at_every_byte(self) -> None:
        reader = OurReader()
        for byte in EVERYTHING:
            reader.read(bytes([byte]))
            reader.move()
        assert reader.reading == EVERYTHING_READ

    def test_state_moved_once_at_every_cut(self) -> None:
        for cut in range(len(EVERYTHING) + 1):
            reader = OurReader()
            reader.read(EVERYTHING[:cut])
            reader.move()
            reader.read(EVERYTHING[cut:])
            assert reader.reading == EVERYTHING_READ, cut

    def test_empty_chunks_change_nothing(self) -> None:
        assert we_read([b"", EVERYTHING[:9], b"", b"", EVERYTHING[9:], b""]) == EVERYTHING_READ

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_any_kind_of_buffer(self, kind: type[bytes] | type[bytearray]) -> None:
        reader = OurReader()
        reader.read(kind(EVERYTHING[:20]))
        reader.read(kind(EVERYTHING[20:]))
        assert reader.reading == EVERYTHING_READ

    def test_a_reused_buffer_is_neither_kept_nor_held(self) -> None:
        """The caller may overwrite its buffer, or change its size, as soon as feed returns."""
        reader, buffer = OurReader(), bytearray(7)
        for start in range(0, len(EVERYTHING), 7):
            chunk = EVERYTHING[start : start + 7]
            buffer[: len(chunk)] = chunk
            reader.read(memoryview(buffer)[: len(chunk)])
            buffer[:] = b"\xff" * 7
            buffer.extend(b"grown")
            del buffer[7:]
        assert reader.reading == EVERYTHING_READ

    def test_messages_are_handed_out_as_soon_as_they_are_whole(self) -> None:
        decoder = Decoder(MAXIMUM_BYTES)
        stream = frame(FIN | BINARY, b"ab")
        assert decoder.feed(stream[:-1]) == []
        assert decoder.feed(stream[-1:] + stream[:3]) == [b"ab"]
        assert decoder.feed(stream[3:]) == [b"ab"]
        assert decoder.state == ReceiveState()

    def test_messages_are_bytes(self) -> None:
        """They become dictionary keys and queue entries: no view of a buffer may slip out."""
        stream = frame(FIN | BINARY, b"a") + frame(FIN | BINARY, b"b", key=None) + UNFINISHED
        messages = Decoder(MAXIMUM_BYTES).feed(stream + frame(FIN | CONTINUATION, b"c"))
        assert [type(message) for message in messages] == [bytes, bytes, bytes]


class TestSection51Masking:
    def test_unmasked_and_masked_frames_are_both_heard(self) -> None:
        """On purpose: RFC 6455 5.1 has a server hang up on unmasked frames, and the library does.
        The C vpn-ws client sends its pings unmasked, so we take them, and at both ends."""
        stream = frame(FIN | PING, b"p", key=None) + frame(FIN | BINARY, b"frame")
        assert we_read([stream]) == Reading([b"frame"], ping=b"p")
        assert oracle_reads(stream).code == PROTOCOL_ERROR
        assert oracle_reads(stream, masked=False).code == PROTOCOL_ERROR

    @pytest.mark.parametrize("length", LENGTHS)
    def test_what_a_server_sends_is_read(self, length: int) -> None:
        stream = frame(FIN | BINARY, patterned(length), key=None)
        assert we_read([stream]) == Reading([patterned(length)])
        assert oracle_reads(stream, masked=False) == Reading([patterned(length)])


class TestSection52BaseFraming:
    @pytest.mark.parametrize("length", LENGTHS)
    def test_every_length_form(self, length: int) -> None:
        payload = patterned(length)
        stream = Frame(Opcode.BINARY, payload).serialize(mask=True)
        assert we_read([stream]) == Reading([payload]) == oracle_reads(stream)

    @pytest.mark.parametrize("length", LENGTHS)
    def test_every_length_form_cut_inside_its_header(self, length: int) -> None:
        payload = patterned(length)
        stream = frame(FIN | BINARY, payload)
        for cut in range(min(len(stream), 16)):
            assert we_read([stream[:cut], stream[cut:]]) == Reading([payload]), cut

    @pytest.mark.parametrize("form", [126, 127])
    @pytest.mark.parametrize("length", [0, 1, 125, 126, 65535])
    def test_longer_length_forms_than_needed(self, length: int, form: int) -> None:
        """On purpose: 5.2 wants the shortest form from senders; like the library we hear any,
        since nothing depends on it and some senders always write the long one."""
        stream = frame(FIN | BINARY, patterned(length), form=form)
        assert we_read([stream]) == Reading([patterned(length)]) == oracle_reads(stream)

    @pytest.mark.parametrize("opcode", [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG])
    @pytest.mark.parametrize("bit", [0x40, 0x20, 0x10])
    def test_reserved_bits(self, bit: int, opcode: int) -> None:
        assert_both_end(frame(FIN | bit | opcode), PROTOCOL_ERROR)

    @pytest.mark.parametrize("bit", [0x40, 0x20, 0x10])
    def test_reserved_bits_inside_a_message(self, bit: int) -> None:
        assert_both_end(UNFINISHED + frame(FIN | bit | CONTINUATION), PROTOCOL_ERROR)

    @pytest.mark.parametrize("fin", [FIN, 0])
    @pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
    def test_undefined_opcodes(self, opcode: int, fin: int) -> None:
        assert_both_end(frame(fin | opcode, b"x"), PROTOCOL_ERROR)

    @pytest.mark.parametrize("first", [FIN | 0x40 | BINARY, FIN | 3, FIN | CONTINUATION, PING])
    def test_two_bytes_are_enough_to_be_wrong(self, first: int) -> None:
        """On purpose: we do not wait for the rest of a frame that is already illegal. The library
        waits for the body, save for an unknown opcode."""
        stream = frame(first, b"payload")
        assert our_ending(stream[:1]) is None
        assert our_ending(stream[:2]) == PROTOCOL_ERROR == oracle_reads(stream).code
        assert oracle_reads(stream[:2]).code == (PROTOCOL_ERROR if first == FIN | 3 else None)

    @pytest.mark.parametrize("first", [FIN | BINARY, BINARY, FIN | TEXT])
    @pytest.mark.parametrize("length", [1 << 63, (1 << 63) + 5, (1 << 64) - 1])
    def test_lengths_with_the_highest_bit_set(self, length: int, first: int) -> None:
        """On purpose: 5.2 says that bit MUST be 0, so it is an error of the protocol; to the
        library it is only a big number."""
        assert our_ending(header(first, length)) == PROTOCOL_ERROR
        assert oracle_reads(header(first, length)).code == MESSAGE_TOO_BIG

    def test_the_longest_length_there_is(self) -> None:
        stream = header(FIN | BINARY, (1 << 63) - 1)
        assert our_ending(stream) == MESSAGE_TOO_BIG == oracle_reads(stream).code

    def test_the_longest_length_there_is_after_a_fragment(self) -> None:
        """The sum passes 2^63, the length does not: too big, not malformed."""
        stream = UNFINISHED + header(FIN | CONTINUATION, (1 << 63) - 1)
        assert our_ending(stream) == MESSAGE_TOO_BIG == oracle_reads(stream).code


class TestSection53Masking:
    @pytest.mark.parametrize("key", [b"\0\0\0\0", b"\0\0\0\1", b"\x80\0\0\0", b"abcd", b"\xff" * 4])
    @pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 126, 1514])
    def test_any_key_at_any_remainder(self, length: int, key: bytes) -> None:
        """The reference masks by one XOR of two numbers, the decoder in vector steps."""
        stream = frame(FIN | BINARY, patterned(length), key)
        assert we_read([stream]) == Reading([patterned(length)]) == oracle_reads(stream)


class TestSection54Fragmentation:
    def test_fragments_make_one_message(self) -> None:
        parts = [frame(BINARY, b"a"), frame(CONTINUATION, b"b"), frame(FIN | CONTINUATION, b"c")]
        stream = b"".join(parts)
        assert we_read([stream]) == Reading([b"abc"]) == oracle_reads(stream)

    def test_nothing_is_handed_out_before_the_last_fragment(self) -> None:
        assert we_read([UNFINISHED + frame(CONTINUATION, b"more")]) == Reading()

    def test_control_frames_between_fragments(self) -> None:
        stream = (
            UNFINISHED + frame(FIN | PING, b"p") + frame(FIN | PONG) + frame(FIN | CONTINUATION)
        )
        assert we_read([stream]) == Reading([b"half"], ping=b"p") == oracle_reads(stream)

    def test_control_frames_between_fragments_of_a_full_message(self) -> None:
        """A ping is no part of the message around it. The library counts it against what the
        message may still have, and hangs up on one that comes late in a long message."""
        stream = (
            frame(BINARY, b"12345678") + frame(FIN | PING, b"p") + frame(FIN | CONTINUATION, b"")
        )
        assert we_read([stream], 8) == Reading([b"12345678"], ping=b"p")
        assert oracle_reads(stream, 8).code == MESSAGE_TOO_BIG

    @pytest.mark.parametrize("first", [FIN | CONTINUATION, CONTINUATION])
    def test_orphan_continuation(self, first: int) -> None:
        assert_both_end(frame(first, b"orphan"), PROTOCOL_ERROR)

    @pytest.mark.parametrize("first", [FIN | CONTINUATION, CONTINUATION])
    def test_orphan_continuation_after_a_fragmented_message(self, first: int) -> None:
        stream = UNFINISHED + frame(FIN | CONTINUATION, b"") + frame(first, b"orphan")
        ours = we_read([stream])
        assert (ours.messages, ours.code) == ([b"half"], PROTOCOL_ERROR)
        assert ours == oracle_reads(stream)

    @pytest.mark.parametrize("accept_text", [True, False])
    @pytest.mark.parametrize("first", [FIN | BINARY, BINARY, FIN | TEXT, TEXT])
    def test_message_inside_another(self, first: int, accept_text: bool) -> None:
        stream = UNFINISHED + frame(first, b"inside")
        assert our_ending(stream, accept_text=accept_text) == PROTOCOL_ERROR
        assert_both_end(stream, PROTOCOL_ERROR)

    def test_the_most_fragments(self) -> None:
        stream = UNFINISHED + frame(CONTINUATION) * (MAX_FRAGMENTS - 2)
        stream += frame(FIN | CONTINUATION)
        assert we_read([stream]) == Reading([b"half"]) == oracle_reads(stream)

    @pytest.mark.parametrize("fin", [FIN, 0])
    def test_one_fragment_too_many(self, fin: int) -> None:
        stream = UNFINISHED + frame(CONTINUATION) * (MAX_FRAGMENTS - 1)
        assert our_ending(stream) is None
        assert our_ending(stream + frame(fin | CONTINUATION)) == MESSAGE_TOO_BIG

    def test_endless_empty_fragments(self) -> None:
        """On purpose: the library collects empty fragments for ever; we end at a bound."""
        stream = UNFINISHED + frame(CONTINUATION) * MAX_FRAGMENTS * 4
        assert our_ending(stream) == MESSAGE_TOO_BIG
        assert oracle_reads(stream).code is None

    def test_the_count_of_fragments_starts_again_with_each_message(self) -> None:
        message = (
            UNFINISHED + frame(CONTINUATION) * (MAX_FRAGMENTS // 2) + frame(FIN | CONTINUATION)
        )
        assert we_read([message * 4]) == Reading([b"half"] * 4)


class TestSection55ControlFrames:
    @pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
    def test_fragmented(self, opcode: int) -> None:
        assert_both_end(frame(opcode), PROTOCOL_ERROR)

    @pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
    @pytest.mark.parametrize("length", [126, 127, 65536])
    def test_longer_than_125_bytes(self, length: int, opcode: int) -> None:
        assert_both_end(frame(FIN | opcode, b"\x03\xe8" + b"x" * (length - 2)), PROTOCOL_ERROR)

    def test_a_short_one_in_a_long_form(self) -> None:
        """On purpose: only the long forms can carry a long control frame, so two bytes judge.
        The library reads the length first and lets this one pass."""
        stream = frame(FIN | PING, b"short", form=126)
        assert our_ending(stream) == PROTOCOL_ERROR
        assert oracle_reads(stream) == Reading(ping=b"short")

    @pytest.mark.parametrize("length", [0, 1, 124, 125])
    def test_ping_of_any_legal_length(self, length: int) -> None:
        stream = frame(FIN | PING, patterned(length))
        assert we_read([stream]) == Reading(ping=patterned(length)) == oracle_reads(stream)

    def test_control_frames_may_be_longer_than_messages(self) -> None:
        """The bound is for messages. The library holds every frame to it."""
        stream = frame(FIN | PING, patterned(125))
        assert we_read([stream], 64) == Reading(ping=patterned(125))
        assert oracle_reads(stream, 64).code == MESSAGE_TOO_BIG

    def test_pongs_are_heard_and_forgotten(self) -> None:
        stream = frame(FIN | PING, b"p") + frame(FIN | PONG, b"unasked")
        assert we_read([stream]) == Reading(ping=b"p") == oracle_reads(stream)


class TestSection551Close:
    @pytest.mark.parametrize(
        "code", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999]
    )
    def test_codes_that_may_be_sent(self, code: int) -> None:
        stream = frame(FIN | CLOSE, code.to_bytes(2, "big") + "gehört".encode())
        assert we_read([stream]) == Reading(code=code, by_peer=True) == oracle_reads(stream)

    @pytest.mark.parametrize(
        "code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
    )
    def test_codes_that_must_not_be_sent(self, code: int) -> None:
        assert_both_end(frame(FIN | CLOSE, code.to_bytes(2, "big") + b"why"), PROTOCOL_ERROR)

    def test_no_code(self) -> None:
        stream = frame(FIN | CLOSE)
        assert we_read([stream]) == Reading(code=NO_STATUS, by_peer=True) == oracle_reads(stream)

    @pytest.mark.parametrize("payload", [b"\x03", b"\xe8", b"\x00"])
    def test_half_a_code(self, payload: bytes) -> None:
        assert_both_end(frame(FIN | CLOSE, payload), PROTOCOL_ERROR)

    @pytest.mark.parametrize("reason", [b"\xff", b"ok\xc3", b"\xed\xa0\x80", b"\xc0\xaf"])
    def test_reason_that_is_not_utf8(self, reason: bytes) -> None:
        assert_both_end(frame(FIN | CLOSE, b"\x03\xe8" + reason), INVALID_DATA)

    def test_wrong_in_two_ways(self) -> None:
        """On purpose: the code comes first and is judged first; the library begins at the end."""
        stream = frame(FIN | CLOSE, b"\x00\x00\xff")
        assert our_ending(stream) == PROTOCOL_ERROR
        assert oracle_reads(stream).code == INVALID_DATA

    def test_the_reason_is_kept(self) -> None:
        decoder = Decoder(MAXIMUM_BYTES)
        decoder.feed(frame(FIN | CLOSE, b"\x03\xe8" + "schön".encode()))
        assert decoder.ending == Ending(NORMAL, "schön", by_peer=True)

    def test_the_longest_reason(self) -> None:
        decoder = Decoder(MAXIMUM_BYTES)
        decoder.feed(frame(FIN | CLOSE, b"\x03\xe8" + b"r" * 123))
        assert decoder.ending == Ending(NORMAL, "r" * 123, by_peer=True)

    def test_close_inside_a_message(self) -> None:
        """On purpose: 5.4 lets any control frame stand between fragments, so a close is a close.
        The library calls the message it cuts short an error."""
        stream = UNFINISHED + frame(FIN | CLOSE, b"\x03\xe8")
        assert we_read([stream]) == Reading(code=NORMAL, by_peer=True)
        assert oracle_reads(stream).code == PROTOCOL_ERROR


class TestSection553Pong:
    def test_only_the_newest_ping_is_kept(self) -> None:
        """On purpose: 5.5.3 lets an endpoint answer only the newest; the library answers each."""
        stream = b"".join(frame(FIN | PING, bytes([n])) for n in range(5))
        decoder, oracle = Decoder(MAXIMUM_BYTES), Oracle()
        decoder.feed(stream)
        oracle.read(stream)
        assert decoder.take_ping() == b"\4"
        pongs = [encode(PONG, bytes([n])) for n in range(5)]
        assert oracle.protocol.data_to_send() == pongs

    def test_a_ping_is_taken_once(self) -> None:
        decoder = Decoder(MAXIMUM_BYTES)
        assert decoder.take_ping() is None
        decoder.feed(frame(FIN | PING))
        assert decoder.take_ping() == b""
        assert decoder.take_ping() is None

    def test_a_flood_of_pings_keeps_one(self) -> None:
        reader = OurReader()
        for _ in range(1000):
            reader.read(frame(FIN | PING, patterned(125)))
        assert reader.kept_bytes() == 0


class TestSection56Text:
    def test_refused_unless_wanted(self) -> None:
        """On purpose: a text message is no Ethernet frame; the library takes any type."""
        stream = frame(FIN | TEXT, b"{}")
        assert we_read([MESSAGE + stream], accept_text=False) == Reading(
            [b"before"], code=UNSUPPORTED_DATA
        )
        assert oracle_reads(stream) == Reading(texts=["{}"])

    @pytest.mark.parametrize("first", [FIN | TEXT, TEXT])
    def test_refused_at_its_first_two_bytes(self, first: int) -> None:
        assert our_ending(header(first, 9)[:2], accept_text=False) == UNSUPPORTED_DATA

    def test_taken_when_wanted(self) -> None:
        stream = frame(FIN | TEXT, "drei €".encode())
        assert we_read([stream]) == Reading(texts=["drei €"]) == oracle_reads(stream)

    def test_a_fragment_may_end_inside_a_character(self) -> None:
        euro = "€".encode()
        stream = frame(TEXT, euro[:1]) + frame(FIN | CONTINUATION, euro[1:])
        assert we_read([stream]) == Reading(texts=["€"]) == oracle_reads(stream)

    @pytest.mark.parametrize("payload", [b"\xff", b"ok\xe2\x82", b"\xed\xa0\x80", b"\xc0\x80"])
    def test_not_utf8(self, payload: bytes) -> None:
        assert_both_end(frame(FIN | TEXT, payload), INVALID_DATA)
        assert_both_end(
            frame(TEXT, payload[:1]) + frame(FIN | CONTINUATION, payload[1:]), INVALID_DATA
        )

    def test_types_do_not_mix_between_messages(self) -> None:
        end = frame(FIN | CONTINUATION, b"!")
        stream = frame(TEXT, b"t") + end + frame(BINARY, b"b") + end + frame(FIN | TEXT, b"u")
        assert we_read([stream]) == Reading([b"b!"], ["t!", "u"]) == oracle_reads(stream)


class TestSize:
    """RFC 6455 10.4: an endpoint protects itself from frames and messages that are too long."""

    @pytest.mark.parametrize("maximum", [0, 1, 125, 126, 1514, 65535, 65536])
    def test_the_bound_itself_is_allowed(self, maximum: int) -> None:
        stream = frame(FIN | BINARY, patterned(maximum))
        assert we_read([stream], maximum) == Reading([patterned(maximum)])
        assert oracle_reads(stream, maximum) == Reading([patterned(maximum)])

    @pytest.mark.parametrize("masked", [True, False])
    @pytest.mark.parametrize("maximum", [0, 1, 124, 125, 126, 1514, 65535, 65536])
    def test_one_byte_more_ends_before_the_body(self, maximum: int, masked: bool) -> None:
        head = header(FIN | BINARY, maximum + 1, masked=masked)
        assert we_read([head[:-1]], maximum).code is None
        assert we_read([head], maximum).code == MESSAGE_TOO_BIG
        assert oracle_reads(head, maximum, masked=masked).code == MESSAGE_TOO_BIG

    def test_fragments_count_together_before_the_body(self) -> None:
        """The sum decides, and at the header: a stranger gets no second bound's worth of memory."""
        stream = frame(BINARY, b"123456") + header(FIN | CONTINUATION, 3)
        assert we_read([stream], 8).code == MESSAGE_TOO_BIG == oracle_reads(stream, 8).code
        assert we_read([stream], 9).code is None
        assert oracle_reads(stream, 9).code is None

    def test_fragments_may_fill_the_bound(self) -> None:
        stream = frame(BINARY, b"123456") + frame(FIN | CONTINUATION, b"78")
        assert we_read([stream * 2], 8) == Reading([b"12345678"] * 2)
        assert oracle_reads(stream * 2, 8) == Reading([b"12345678"] * 2)

    def test_kept_bytes_are_bounded(self) -> None:
        """A full unfinished message and a control frame but for its last byte: the worst case."""
        reader = OurReader(1000)
        reader.read(frame(BINARY, patterned(600)) + frame(CONTINUATION, patterned(400)))
        for byte in frame(FIN | PING, patterned(125))[:-1]:
            reader.read(bytes([byte]))
        assert reader.kept_bytes() == 1000 + CONTROL_FRAME_BYTES - 1
        assert reader.reading.code is None

    def test_memory_is_given_back(self) -> None:
        """After a long message in many chunks an idle connection costs nothing again."""
        reader = OurReader()
        stream = frame(FIN | BINARY, patterned(200_000))
        for start in range(0, len(stream), 4096):
            reader.read(stream[start : start + 4096])
        assert reader.reading.messages == [patterned(200_000)]
        assert sys.getsizeof(reader.decoder.state.uncut) < 4096


class TestEnding:
    VIOLATION = frame(FIN | 3, b"?")
    CLOSING = frame(FIN | CLOSE, b"\x03\xe8")

    @pytest.mark.parametrize("ending", [VIOLATION, CLOSING])
    def test_what_came_before_in_the_chunk_is_delivered(self, ending: bytes) -> None:
        stream = MESSAGE * 2 + frame(FIN | PING, b"p") + ending
        reading = we_read([stream])
        assert (reading.messages, reading.ping) == ([b"before"] * 2, b"p")
        assert reading == oracle_reads(stream)

    @pytest.mark.parametrize("ending", [VIOLATION, CLOSING])
    def test_everything_after_is_ignored(self, ending: bytes) -> None:
        after = (
            MESSAGE + frame(FIN | PING) + frame(FIN | TEXT, b"t") + frame(FIN | CLOSE, b"\x03\xe9")
        )
        expected = we_read([ending])
        assert expected.code is not None
        assert we_read([ending + after]) == expected == oracle_reads(ending + after)
        assert we_read([ending, after, after]) == expected
        assert we_read([ending[:1], ending[1:] + after, after]) == expected

    @pytest.mark.parametrize("ending", [VIOLATION, CLOSING, header(FIN | BINARY, 1 << 40)])
    @pytest.mark.parametrize("cut", [0, 1, 40])
    def test_nothing_is_kept(self, ending: bytes, cut: int) -> None:
        reader = OurReader()
        stream = frame(BINARY, patterned(30)) + ending + patterned(500)
        reader.read(stream[:cut])
        reader.read(stream[cut:])
        reader.read(patterned(500))
        assert reader.reading.code is not None
        assert reader.decoder.state == ReceiveState()

    def test_a_violation_is_ours_and_says_why(self) -> None:
        decoder = Decoder(MAXIMUM_BYTES)
        decoder.feed(self.VIOLATION)
        assert decoder.ending is not None
        assert not decoder.ending.by_peer
        assert "opcode 3" in decoder.ending.reason

    def test_reasons_fit_a_close_frame(self) -> None:
        for stream in (
            header(FIN | BINARY, 1 << 62),
            header(FIN | BINARY, 1 << 63),
            frame(FIN | 0x70 | BINARY),
            self.VIOLATION,
            frame(PING),
            frame(FIN | PING, patterned(126)),
            frame(FIN | CONTINUATION),
            UNFINISHED + MESSAGE,
            UNFINISHED + frame(CONTINUATION) * MAX_FRAGMENTS,
            frame(FIN | CLOSE, b"?"),
            frame(FIN | CLOSE, b"\x03\xe8\xff"),
            frame(FIN | TEXT, b"text"),
        ):
            decoder = Decoder(MAXIMUM_BYTES)
            decoder.feed(stream)
            assert decoder.ending is not None
            read_back = Close.parse(close_payload(decoder.ending.code, decoder.ending.reason))
            assert (read_back.code, read_back.reason) == (
                decoder.ending.code,
                decoder.ending.reason,
            )


class TestState:
    def test_a_state_is_plain_data(self) -> None:
        reader = OurReader()
        reader.read(UNFINISHED + frame(CONTINUATION, b"way") + frame(CONTINUATION)[:3])
        state = reader.decoder.state
        assert state == ReceiveState(bytearray(b"\x00\x80" + KEY[:1]), [b"half", b"way"], BINARY, 7)
        assert pickle.loads(pickle.dumps(state)) == state

    def test_decoders_share_nothing(self) -> None:
        one, other = Decoder(MAXIMUM_BYTES), Decoder(MAXIMUM_BYTES)
        one.feed(UNFINISHED + MESSAGE[:3])
        assert other.state == ReceiveState()

    def test_a_smaller_bound_after_a_move_holds_for_what_is_already_there(self) -> None:
        old = OurReader()
        old.read(frame(BINARY, b"12345678"))
        new = Decoder(4, state=old.decoder.state)
        assert new.feed(frame(FIN | CONTINUATION)) == []
        assert new.ending is not None
        assert new.ending.code == MESSAGE_TOO_BIG


class TestEncoders:
    @pytest.mark.parametrize("length", LENGTHS)
    def test_server_messages_are_what_the_library_writes(self, length: int) -> None:
        payload = patterned(length)
        for opcode in (Opcode.TEXT, Opcode.BINARY):
            expected = Frame(opcode, payload).serialize(mask=False)
            assert encode(opcode, payload) == expected
            assert encode_header(opcode, length) + payload == expected
        assert encode_binary(payload) == encode(BINARY, payload)

    @pytest.mark.parametrize("length", [0, 2, 125])
    def test_server_control_frames_are_what_the_library_writes(self, length: int) -> None:
        for opcode in (Opcode.CLOSE, Opcode.PING, Opcode.PONG):
            expected = Frame(opcode, patterned(length)).serialize(mask=False)
            assert encode(opcode, patterned(length)) == expected

    @pytest.mark.parametrize("length", LENGTHS)
    def test_client_frames_are_read_back(self, length: int) -> None:
        oracle = Oracle()
        payload = patterned(length)
        oracle.read(encode_masked(BINARY, payload, KEY))
        assert oracle.frames == [Frame(Opcode.BINARY, payload)]
        assert encode_masked(BINARY, payload, KEY) == frame(FIN | BINARY, payload)

    def test_a_header_alone_has_no_key(self) -> None:
        assert encode_header(BINARY, 5, masked=True) == b"\x82\x85"
        assert encode_header(BINARY, 126, masked=True) == b"\x82\xfe\x00\x7e"
        assert encode_header(BINARY, 65536, masked=True) == b"\x82\xff" + (65536).to_bytes(8, "big")

    def test_close_payload_is_what_the_library_writes(self) -> None:
        expected = Close(SERVICE_RESTART, "zurück").serialize()
        assert close_payload(SERVICE_RESTART, "zurück") == expected

    @pytest.mark.parametrize("code", [NO_STATUS, ABNORMAL, 1015, 0, 999, 5000, -1, 70_000])
    def test_codes_that_must_not_be_sent_are_left_out(self, code: int) -> None:
        """RFC 6455 7.4.1: 1005, 1006 and 1015 never stand in a frame."""
        assert close_payload(code, "reason") == b""

    def test_a_long_reason_is_cut_between_characters(self) -> None:
        payload = close_payload(NORMAL, "ü" * 100)
        assert len(payload) == 2 + 122
        assert Close.parse(payload) == Close(NORMAL, "ü" * 61)

    def test_a_reason_that_has_no_utf8_form(self) -> None:
        assert Close.parse(close_payload(NORMAL, "a\udcffb")) == Close(NORMAL, "a?b")
