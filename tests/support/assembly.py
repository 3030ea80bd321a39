"""Something that consists of parts, which are set up in order and taken down in reverse."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Assembly:
    """Exists from the start of a `with` block to its end.

    If a part cannot be set up, the parts before it are taken down. A part can be added within the
    block: enter it in `parts`.
    """

    parts: ExitStack

    def build(self) -> None:
        """Enter every part in `parts`."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        with ExitStack() as self.parts:
            self.build()
            self.parts = self.parts.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.parts.__exit__(kind, error, trace)
