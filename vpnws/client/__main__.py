"""Runs the client as `python -m vpnws.client`."""

import sys

from vpnws.client.program.entry import main

if __name__ == "__main__":
    sys.exit(main())
