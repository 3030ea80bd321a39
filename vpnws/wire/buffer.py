"""The one type for bytes that are read where they stand, whoever owns them."""

from __future__ import annotations

from typing import TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview
"""A function that takes a Buffer reads it at once and keeps no part of it, since its owner may
write to it again. One that keeps what it is given takes `bytes`."""
