"""What a capture asks of the processes, and what they send it."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from vpnws.control.asks import Ask, Done
from vpnws.control.paging import MAX_FILTER_CHARACTERS
from vpnws.switch.mirror import MAX_SNAP_BYTES
from vpnws.wire.ethernet import HEADER_BYTES

_Text: TypeAlias = Annotated[str, Meta(max_length=MAX_FILTER_CHARACTERS)]


class CaptureFilter(Struct, frozen=True, kw_only=True):
    """Which frames to capture: those that fit all that is given. Empty means any."""

    port: _Text = ""
    """The id of a port or, such as `1.t2`, of a trunk."""
    network: _Text = ""
    mac: _Text = ""
    """The frame's source or destination."""
    direction: Literal["", "in", "out"] = ""
    dropped: bool = False
    """Only frames that are dropped."""
    snap: Annotated[int, Meta(ge=HEADER_BYTES, le=MAX_SNAP_BYTES)] = MAX_SNAP_BYTES
    """How much of each frame to keep, in bytes."""


class Mirrored(Struct, frozen=True, kw_only=True):
    """What one process copies for a capture."""

    is_here: bool = False
    """Whether there is something to copy: that is not so if the port is elsewhere, or has gone."""
    port_id: int | None = None
    """The id of the filter's port; no other port gets it, as it may get the name."""


class MirrorAsk(Ask[Mirrored], frozen=True, kw_only=True):
    """Begin to copy frames for a capture, or go on: without this, a mirror ends after LEASE_S."""

    id: str
    """The capture's."""
    slot: int
    """The process that the copies are for."""
    filter: CaptureFilter
    port_id: int | None = None
    """The id of the filter's port, once it is known."""


class MirrorEnd(Struct, frozen=True, kw_only=True):
    """How a mirror has ended."""

    seen: int = 0
    """Frames that it was to copy, in all."""


class MirrorEndAsk(Ask[MirrorEnd], frozen=True, kw_only=True):
    """End the mirror of a capture, and send what waits in it."""

    id: str


class CopyView(Struct, frozen=True, array_like=True, gc=False):
    """The copy of a frame, with what became of it."""

    port: str
    network: str
    direction: Literal["in", "out"]
    reason: str
    """Why it was dropped; empty if it was not."""
    time_s: float
    size_bytes: int
    """The length of the whole frame."""
    data: bytes
    """The frame, or its beginning."""
    lost: int
    """Copies of frames of this port that were lost since the one before."""


class CopiesPost(Ask[Done], frozen=True, kw_only=True):
    """Copies of frames for a capture; it needs no answer."""

    id: str
    process: str
    ports: dict[str, str]
    """What is known of the ports that come up for the first time."""
    copies: tuple[CopyView, ...]


class CaptureNoteAsk(Ask[Done], frozen=True, kw_only=True):
    """Note that a capture begins or has ended."""

    text: str
    """The line of the log."""
    fields: dict[str, str | int | float]
