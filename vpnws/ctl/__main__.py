"""Runs the program as `python -m vpnws.ctl`."""

import sys

from vpnws.ctl.program.entry import main

if __name__ == "__main__":
    sys.exit(main())
