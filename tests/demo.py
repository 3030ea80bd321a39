"""Shows the VPN at work: two stations in namespaces, nginx with TLS, uWSGI, a ping, a transfer."""

from __future__ import annotations

import sys
import time
from typing import Final

from tests.support.netns import SERVER_ADDRESS
from tests.support.tools import tool_path
from tests.support.traffic import iperf3, ping
from tests.support.vpn import Vpn

TRANSFER_S: Final = 3
PINGS: Final = 5
TOOLS: Final = ("nginx", "iperf3", "ping", "ip", "openssl")

_PICTURE: Final = f"""
  station 0                       server {SERVER_ADDRESS}                      station 1
  tap0 10.8.0.1 --wss--> nginx (TLS, password) -> uWSGI switch <--wss-- tap0 10.8.0.2
"""


def main() -> int:
    """Run the demo; return an exit code."""
    missing = [tool for tool in TOOLS if tool_path(tool) is None]
    if missing:
        print(f"demo: install {', '.join(missing)} first", file=sys.stderr)
        return 1
    began_s = time.monotonic()
    print(_PICTURE)
    step("making three network namespaces, a certificate, nginx and uWSGI")
    with Vpn(2) as vpn:
        step(f"uWSGI runs: master {vpn.uwsgi.master_pid}, workers {vpn.uwsgi.worker_pids()}")
        for index in range(2):
            client = vpn.join(index)
            print("   ", client.log_text().strip().splitlines()[-1])
        vpn.wait_until_reachable(0, 1)
        show(vpn)
        step("cleaning up: clients, nginx, uWSGI and namespaces go away")
    print(f"\nDone in {time.monotonic() - began_s:.0f} s; nothing is left behind.")
    return 0


def show(vpn: Vpn) -> None:
    """Ping and transfer between the two stations, and print what came of it."""
    one, other = vpn.lan.stations
    for address in (vpn.address(1), vpn.address_6(1)):
        step(f"station 0 pings {address}")
        result = ping(one, address, count=PINGS)
        times = " ".join(f"{rtt_ms:.2f}" for rtt_ms in result.rtts_ms)
        print(f"    {result.received} of {result.sent} answered; ms: {times}")
    for name, extra in (("0 to 1", ()), ("1 to 0", ("-R",))):
        step(f"TCP from station {name}, {TRANSFER_S} s")
        result_json = iperf3(one, other, vpn.address(1), seconds=TRANSFER_S, extra=extra)
        rate = result_json["end"]["sum_received"]["bits_per_second"] / 1e6
        print(f"    {rate:.0f} Mbit/s")
    step("what the switch says of its ports")
    for line in vpn.uwsgi.log_text().splitlines():
        if " port " in line:
            print("   ", line.split("INFO ")[-1])


def step(text: str) -> None:
    """Say what happens next."""
    print(f"--> {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
