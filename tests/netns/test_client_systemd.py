"""The client as a service: a real systemd runs the unit of docs/client/service.md."""

from __future__ import annotations

import json
from textwrap import dedent

import pytest

from tests.support.prerequisites import require
from tests.support.systemd import require_systemd, run_in_systemd

pytestmark = pytest.mark.netns

UNIT = "vpnws-client@office.service"
PREPARE = """
# The script's first line names the Python of the machine outside.
sed 's|/bin/vpnws-client|/bin/python -m vpnws.client|' /opt/vpnws/deploy/vpnws-client@.service \
    > /etc/systemd/system/vpnws-client@.service
mkdir -p /etc/vpnws /etc/systemd/system/vpnws-client@.service.d /etc/systemd/network
cat > /etc/systemd/system/vpnws-client@.service.d/test.conf <<UNIT
[Service]
Environment=PYTHONPATH=/opt/vpnws
StandardOutput=append:/var/log/client.log
StandardError=append:/var/log/client.log
UNIT
sed -n '/^ProtectHome\\|^BindReadOnly/p' /etc/systemd/system/vpnws.service.d/test.conf \
    >> /etc/systemd/system/vpnws-client@.service.d/test.conf
cat > /etc/vpnws/office.toml <<TOML
tap = "tap0"
url = "ws://127.0.0.1:8080/"
address = "10.8.0.2/24"
route = "192.0.2.0/24"
log-format = "json"
TOML
systemctl daemon-reload
cd /opt/vpnws
client=".venv/bin/python -m vpnws.client"
show() { systemctl show --value -p "$1" vpnws-client@office.service; }
# until NAME VALUE: wait until the unit's property has this value.
until_is() { for i in $(seq 100); do test "$(show $1)" = "$2" && return; sleep 0.1; done
    echo "$1 is $(show $1), not $2"; }
# The route comes right after the unit is active, from the janitor.
until_route() {
    for i in $(seq 50); do ip route show 192.0.2.0/24 | grep . && return; sleep 0.1; done
    echo "no route"; }
until_log() { for i in $(seq 100); do grep -q "$1" /var/log/client.log && return; sleep 0.1; done
    echo "not in the log: $1"; }
"""


@pytest.fixture(scope="module", autouse=True)
def prerequisites() -> None:
    require_systemd()


def part(said: str, name: str) -> list[str]:
    """Return the lines that a script has printed behind `== name`."""
    _, found, rest = said.partition(f"\n== {name}\n")
    assert found, f"{name!r} is not in:\n{said}"
    return rest.partition("\n== ")[0].splitlines()


def test_the_unit_from_a_server_that_is_away_to_the_end() -> None:
    said = run_in_systemd(
        dedent(PREPARE)
        + """
        systemctl start --no-block vpnws-client@office.service
        until_log '"event": "lost"'
        echo; echo "== away"; show ActiveState; show StatusText
        .venv/bin/uwsgi --ini uwsgi.ini > /var/log/server.log 2>&1 &
        server=$!
        until_is ActiveState active
        pid=$(show MainPID)
        echo "== connected"; show StatusText
        ip -o address show tap0 | grep -o '10.8.0.2/24'; until_route
        echo "== status"; $client status tap0 --json
        echo "== rights"; grep -E '^(Uid|CapEff|NoNewPrivs):' /proc/$pid/status
        id -u nobody
        echo "== doctor"; $client doctor --json --config office | grep -v '"skipped"'

        # A client that hangs.
        sed -i 's/WatchdogSec=60/WatchdogSec=2/' /etc/systemd/system/vpnws-client@.service
        sed -i 's/RestartSec=5/RestartSec=1/' /etc/systemd/system/vpnws-client@.service
        systemctl daemon-reload
        systemctl restart vpnws-client@office.service || cat /var/log/client.log
        pid=$(show MainPID); sleep 3
        test $pid = $(show MainPID) && echo "== alive for longer than the watchdog"
        kill -STOP $pid
        until_is NRestarts 1; until_is ActiveState active
        echo "== after the watchdog"; show NRestarts; until_route
        # One that is killed, and its janitor with it.
        systemctl kill --signal=KILL --kill-whom=all vpnws-client@office.service
        until_is NRestarts 2; until_is ActiveState active
        echo "== after kill -9"; show NRestarts; until_route

        systemctl stop vpnws-client@office.service
        echo "== stopped"; show Result; ip -o link show tap0 2>&1 || true
        ip route show 192.0.2.0/24; ls /run/vpnws-client

        echo 'mtu = 9' >> /etc/vpnws/office.toml
        systemctl start vpnws-client@office.service 2>/dev/null || echo "== wrong option"
        sleep 2; show ActiveState; show NRestarts; show ExecMainStatus
        kill $server; wait
        echo "== log"; cat /var/log/client.log
        """
    )
    print(said)
    state, text = part(said, "away")
    assert state == "activating"
    assert text.startswith("trying again in ")
    assert "nobody listens there" in text
    text, address, route = part(said, "connected")
    assert text.startswith("connected to ws://127.0.0.1:8080/ as tap0 ")
    assert address == "10.8.0.2/24"
    assert "dev tap0" in route
    (line,) = part(said, "status")
    status = json.loads(line)
    assert (status["state"], status["tap"], status["offload"]) == ("connected", "tap0", True)
    assert "10.8.0.2" in status["addresses"]
    assert status["rtt_s"] > 0
    assert status["sent_bytes_per_s"] >= 0
    user, capabilities, privileges, nobody = part(said, "rights")
    assert user.split() == ["Uid:", *[nobody] * 4]
    assert capabilities == f"CapEff:\t{0:016x}"
    assert privileges == "NoNewPrivs:\t1"
    # The frames that the doctor hears are those of the client that runs.
    steps = {each["step"]: each for each in map(json.loads, part(said, "doctor"))}
    assert {each["state"] for each in steps.values()} == {"ok", "note"}
    assert "tap0 is in use" in steps.pop("device")["says"]
    assert {each["state"] for each in steps.values()} == {"ok"}
    assert {"TCP", "upgrade", "offload", "ping", "full size", "frames"} <= set(steps)
    part(said, "alive for longer than the watchdog")
    for place, restarts in (("after the watchdog", "1"), ("after kill -9", "2")):
        found, route = part(said, place)
        assert found == restarts
        assert "dev tap0" in route
    assert part(said, "stopped") == ["success", 'Device "tap0" does not exist.']
    assert part(said, "wrong option") == ["failed", "0", "2"]
    log = "\n".join(part(said, "log"))
    assert "/etc/vpnws/office.toml: --mtu '9' is not a number" in log
    assert "will not show this client" not in log


def test_networkd_leaves_the_device_alone() -> None:
    require("networkctl")
    said = run_in_systemd(
        dedent(PREPARE)
        + """
        # What takes over everything, as some machines have it.
        printf '[Match]\\nName=*\\n[Network]\\nAddress=10.99.0.1/24\\n' \
            > /etc/systemd/network/50-all.network
        .venv/bin/uwsgi --ini uwsgi.ini > /var/log/server.log 2>&1 &
        server=$!
        try() {
            /lib/systemd/systemd-networkd > /var/log/networkd.log 2>&1 &
            networkd=$!
            systemctl start vpnws-client@office.service
            for i in $(seq 30); do
                ip -o address show tap0 | grep -q 10.99.0.1 && break; sleep 0.1
            done
            echo "== $1"; ip -o -4 address show tap0 | awk '{ print $4 }'
            kill $networkd; wait $networkd || true
            systemctl stop vpnws-client@office.service
        }
        echo
        try managed
        cp deploy/10-vpnws-client.network /etc/systemd/network/
        try unmanaged
        kill $server; wait
        echo "== log"; cat /var/log/networkd.log
        """
    )
    assert "10.99.0.1/24" in part(said, "managed")
    assert part(said, "unmanaged") == ["10.8.0.2/24"]
