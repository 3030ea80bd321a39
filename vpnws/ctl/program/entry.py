"""Where the program begins: without its libraries it says which ones to install."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the program; return its exit code."""
    try:
        from vpnws.ctl.program import cli
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("msgspec", "rich"):
            raise
        sys.stderr.write(
            f"vpnws-ctl: the package {package} is not installed: pip install 'vpnws[ctl]'\n"
        )
        return 1
    return cli.main()
