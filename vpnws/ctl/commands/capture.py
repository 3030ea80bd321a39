"""The command capture: copies of frames, as pcapng into a file or a pipe."""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from vpnws.ctl.commands.blocks import Blocks
from vpnws.ctl.commands.command import Call, Command, add_network
from vpnws.ctl.commands.targets import one_port, read_target
from vpnws.ctl.commands.values import duration_s
from vpnws.ctl.exits import Exit
from vpnws.errors import ConfigError, ControlError
from vpnws.text import one_line
from vpnws.wire.ethernet import format_mac, parse_mac

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.ctl.reach.request import Answer

PCAPNG: Final = "application/x-pcapng"
SILENCE_S: Final = 60.0
"""A server that sends nothing for this long is given up; between frames it sends statistics."""
LAST_WORDS_S: Final = 2.0
"""After Ctrl-C the server's statistics are waited for this long."""


def capture(call: Call) -> Exit:
    """Copy frames into a file or a pipe, until Ctrl-C or for --seconds."""
    file = call.options.file
    if file is None and sys.stdout.isatty():
        raise ConfigError(
            "a capture is no text: write it into a file (-w FILE) or a pipe"
            " (vpnws-ctl capture | tcpdump -nr -)"
        )
    blocks = Blocks()
    with ExitStack() as stack:
        answer = stack.enter_context(closing(call.api.stream("capture", _query(call), PCAPNG)))
        answer.wait_at_most(SILENCE_S)
        out = sys.stdout.buffer if file is None else stack.enter_context(_open(file))
        stack.enter_context(_ended_by_signals(answer))
        _copy(answer, blocks, out, file)
    if call.output.as_json and file is not None:
        told = {"frames": blocks.frames, "lost": blocks.lost, "reason": blocks.comment}
        call.output.document(msgspec.json.encode(told))
    else:
        lost = f", {blocks.lost:,} copies lost (the mirror was full)" if blocks.lost else ""
        reason = f"; {one_line(blocks.comment)}" if blocks.comment else ""
        call.output.remark(f"{blocks.frames:,} frames captured{lost or ', no copy lost'}{reason}")
    return Exit.DONE


def _copy(answer: Answer, blocks: Blocks, out: BinaryIO, file: Path | None) -> None:
    """Copy whole blocks to `out` as they come, until the answer ends or the pipe's reader goes."""
    while part := answer.read_some():
        whole = blocks.feed(part)
        try:
            out.write(whole)
            # Whoever reads the pipe sees a frame when it comes, and not some KiB later.
            out.flush()
        except BrokenPipeError:
            return
        except OSError as error:
            name = "the pipe" if file is None else str(file)
            raise ControlError(
                f"{name} takes no more ({error.strerror}): it ends with the last whole frame"
            ) from error


def _open(file: Path) -> BinaryIO:
    try:
        return file.open("wb")
    except OSError as error:
        raise ConfigError(f"-w {file} cannot be written: {error.strerror}") from error


@contextmanager
def _ended_by_signals(answer: Answer) -> Iterator[None]:
    """Have SIGINT and SIGTERM end `answer`, so that what is written ends with a whole block."""

    def stop(*_: object) -> None:
        answer.finish()
        signal.setitimer(signal.ITIMER_REAL, LAST_WORDS_S)

    def give_up(*_: object) -> None:
        answer.end()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    handlers = (stop, stop, give_up)
    before = [
        signal.signal(number, handler) for number, handler in zip(numbers, handlers, strict=True)
    ]
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _query(call: Call) -> dict[str, str]:
    options = call.options
    query = {"network": call.network, "mac": options.mac or ""}
    if options.port:
        query["port"] = one_port(call.api, read_target(options.port), call.network).id
    if options.dropped:
        query["dropped"] = "1"
    if options.seconds is not None:
        query["seconds"] = str(options.seconds)
    return query


def _mac(text: str) -> str:
    mac = parse_mac(text)
    if mac is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a MAC, like 02:00:00:00:00:0a")
    return format_mac(mac)


def _add_capture(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-w", dest="file", metavar="FILE", type=Path, help="the file to write")
    parser.add_argument(
        "--port", metavar="TARGET", default="", help="frames at this port: its id, user, MAC or IP"
    )
    parser.add_argument("--mac", metavar="MAC", type=_mac, help="frames from or to it")
    add_network(parser)
    parser.add_argument("--dropped", action="store_true", help="only frames that are dropped")
    parser.add_argument(
        "--seconds", metavar="TIME", type=duration_s, help="end after this time, such as 30 or 5m"
    )


_EXAMPLES: Final = """\
  vpnws-ctl capture --port alice | tcpdump -nr -
      what alice sends and gets, as it happens
  vpnws-ctl capture --dropped --seconds 1m -w dropped.pcapng
      a minute of what is dropped; each frame has its reason as a comment (Wireshark, tshark)
"""
COMMANDS: Final = (
    Command(
        "capture",
        "copies of frames, as pcapng into a file (-w) or a pipe",
        capture,
        _add_capture,
        _EXAMPLES,
    ),
)
