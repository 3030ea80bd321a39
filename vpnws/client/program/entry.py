"""Where the program begins: a signal that comes while Python still loads it ends it quietly."""

from __future__ import annotations

import os
import signal


def main() -> int:
    """Run the client; return its exit code."""
    # Nothing is open yet, and KeyboardInterrupt would print a traceback of the imports.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    from vpnws.client.program import cli

    return cli.main()


def _leave(*_: object) -> None:
    os._exit(0)
