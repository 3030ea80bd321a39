"""What is made of parts: they come one after the other and go in the reverse order."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Assembly:
    """Stands from the start of a `with` block to its end.

    When a part cannot be made, those that were made before it are taken away. A part may be added
    within the block: enter it in `parts`.
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
