"""A decoder that copies nothing: the messages it hands out are parts of what it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vpnws.wire.websocket import Decoder

if TYPE_CHECKING:
    from vpnws.wire.websocket import Buffer


class BorrowingDecoder(Decoder):
    """Cuts unmasked messages out of a buffer that its caller keeps and refills.

    A fragmented message is put together in memory of its own, and a masked one is unmasked there.
    """

    __slots__ = ()

    # What is cut off needs no copy of its own here.
    _own: Any = staticmethod(lambda part: part)

    def cut(self, view: memoryview) -> tuple[list[Buffer], int]:
        """Return the binary messages that stand whole in `view`, and how many bytes they took.

        Give it what is left again, with what follows. The messages are good until `view`'s bytes
        change. After `ending` is set everything is ignored.
        """
        messages: list[Any] = []
        if self.ending is not None:
            return messages, len(view)
        return messages, self._cut(view, messages)

    def _take(self, first: int, content: Buffer, messages: list[bytes]) -> None:
        super()._take(first, bytes(content), messages)
