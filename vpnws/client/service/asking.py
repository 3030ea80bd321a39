"""Asks running clients for their status; rates come from asking twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vpnws.client.service.places import connect, sockets
from vpnws.client.service.report import StatusView, decode

if TYPE_CHECKING:
    from pathlib import Path

ANSWER_S: Final = 2.0
"""A client that takes longer to answer is one that hangs."""
RATE_S: Final = 1.0
"""So long after the first answers the clients are asked again, and the rates are those between."""
MAX_ANSWER_BYTES: Final = 65536
"""A longer answer is refused."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one running client said."""

    view: StatusView
    sent_bytes_per_s: float | None = None
    """None if it was not connected all the time between two answers."""
    received_bytes_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Silent:
    """A client that did not answer, and why."""

    path: Path
    reason: str


def ask_all(place: Path) -> tuple[dict[Path, StatusView], list[Silent]]:
    """Ask every client in `place` once; return the answers, and who gave none.

    A socket on which nobody listens is that of a killed client, and no client.
    """
    views: dict[Path, StatusView] = {}
    silent: list[Silent] = []
    for path in sockets(place):
        try:
            views[path] = _ask(path)
        except (ConnectionRefusedError, FileNotFoundError):
            continue
        except PermissionError:
            silent.append(Silent(path, "only root and its group may ask"))
        except TimeoutError:
            silent.append(
                Silent(path, f"no answer within {ANSWER_S:.0f} s: it hangs, or is stopped")
            )
        except (OSError, ValueError, TypeError) as error:
            silent.append(Silent(path, f"no proper answer: {error}"))
    return views, silent


def rated(before: StatusView | None, now: StatusView) -> Seen:
    """Return `now` with the rates since `before`, an earlier answer of the same client."""
    if before is None or before.connected_s is None or now.connected_s is None:
        return Seen(now)
    passed_s = now.clock_s - before.clock_s
    is_same = now.reconnects == before.reconnects
    if passed_s <= 0 or not is_same or None in (before.sent_bytes, now.sent_bytes):
        return Seen(now)
    return Seen(
        now,
        ((now.sent_bytes or 0) - (before.sent_bytes or 0)) / passed_s,
        ((now.received_bytes or 0) - (before.received_bytes or 0)) / passed_s,
    )


def _ask(path: Path) -> StatusView:
    """Return what the client at `path` says. Raises OSError, ValueError, TypeError."""
    answer = b""
    with connect(path, ANSWER_S) as sock:
        while data := sock.recv(MAX_ANSWER_BYTES):
            answer += data
            if len(answer) > MAX_ANSWER_BYTES:
                raise ValueError(f"more than {MAX_ANSWER_BYTES} bytes")
    return decode(answer)
