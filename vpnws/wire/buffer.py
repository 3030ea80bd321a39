"""The one type for bytes that are read in place, whoever owns them."""

from __future__ import annotations

from typing import TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview
"""A function that takes a Buffer reads it at once and keeps no part of it, because its owner may
overwrite it. A function that keeps what it is given takes `bytes`."""
