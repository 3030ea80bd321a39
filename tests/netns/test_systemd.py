"""The units run for real: systemd as process 1 of a container does what docs/install.md says."""

from __future__ import annotations

import pytest

from tests.support.markdown import blocks, commands
from tests.support.systemd import require_systemd, run_in_systemd
from tests.support.uwsgi import REPOSITORY

pytestmark = pytest.mark.netns

PAGE = (REPOSITORY / "docs" / "install.md").read_text()


def told(first: str) -> list[str]:
    """Return the page's commands from the block that has one that begins with `first`."""
    for block in blocks(PAGE):
        texts = [command.text for command in commands(block)]
        if any(text.startswith(first) for text in texts):
            return texts
    raise LookupError(first)


# As on the page, but without nginx, which is not there.
INSTALL = "\n".join(
    ["cd /opt/vpnws", *(text for text in told("systemd-sysusers") if "nginx" not in text), ""]
)
WITH_TAP = """
sed -i 's/^#set-placeholder/set-placeholder/' /etc/vpnws/vpnws.ini
mkdir -p /etc/systemd/system/vpnws-tap@vpn0.service.d
printf '[Service]\\nExecStartPost=ip address add 10.8.0.1/24 dev %%i\\n' \
    > /etc/systemd/system/vpnws-tap@vpn0.service.d/address.conf
systemctl daemon-reload
""" + "\n".join([*told("systemctl enable vpnws-tap@"), ""])
WITH_POOL = """
sed -i '/vpnws-http/a set-placeholder = vpnws-pool=10.8.0.0/24' /etc/vpnws/vpnws.ini
cat > /tmp/join.py <<'END'
from pathlib import Path
from tests.support.uwsgi_client import UwsgiClient
client = UwsgiClient(Path("/run/vpnws/vpnws.sock"))
client.ask({
    "REMOTE_USER": "alice",
    "HTTP_X_VPN_WS_MAC": "02:00:00:00:00:0a",
    "HTTP_SEC_WEBSOCKET_PROTOCOL": "vpnws.offload.1",
})
print("alice has", client.read_message().decode(), flush=True)
END
"""
JOIN = "PYTHONPATH=/opt/vpnws .venv/bin/python /tmp/join.py"
LOG = "cat /var/log/vpnws-test.log"
DAEMON_RELOAD = "systemctl daemon-reload"
MAIN_PID = "$(systemctl show -p MainPID --value vpnws.service)"


@pytest.fixture(scope="module", autouse=True)
def prerequisites() -> None:
    require_systemd()


def test_the_service_runs_without_a_capability_and_only_nginx_reaches_its_socket() -> None:
    said = run_in_systemd(
        INSTALL
        + f"""
        processes=/sys/fs/cgroup/system.slice/vpnws.service/cgroup.procs
        for i in $(seq 50); do test $(wc -l < $processes) -ge 6 || sleep 0.1; done
        for pid in $(cat $processes); do
            grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/$pid/status | tr '\\t\\n' '  '
            echo of $(id -u vpnws)
        done
        connect='import socket; socket.socket(socket.AF_UNIX).connect("/run/vpnws/vpnws.sock")'
        python=.venv/bin/python
        setpriv --reuid www-data --regid www-data --init-groups $python -c "$connect"
        echo nginx may
        setpriv --reuid nobody --regid nogroup --clear-groups $python -c "$connect" ||
            echo others not
        {told("systemctl reload")[0]}; sleep 3
        systemctl is-active vpnws.service && echo after reload
        sed -i '/vpnws-http/s/.*/set-placeholder = vpnws-age=soon/' /etc/vpnws/vpnws.ini
        {told("systemctl reload")[0]} || echo the reload failed
        systemctl is-active vpnws.service && echo after a typo
        sed -i '/vpnws-age/s/.*/set-placeholder = vpnws-http=/' /etc/vpnws/vpnws.ini
        kill -9 {MAIN_PID}; sleep 4
        systemctl is-active vpnws.service && echo after a crash
        systemctl stop vpnws.service
        systemctl show -p Result --value vpnws.service
        test ! -e /run/vpnws && echo nothing is left
        {LOG}
        echo all done
        """
    )
    rights = [line for line in said.splitlines() if line.startswith("Uid:")]
    assert len(rights) == 6, said
    for line in rights:
        uid = line.rpartition(" of ")[2]
        assert (
            line.split()
            == (
                f"Uid: {uid} {uid} {uid} {uid} CapEff: {0:016x} CapBnd: {0:016x}"
                f" NoNewPrivs: 1 Seccomp: 2 of {uid}"
            ).split()
        )
    for sentence in (
        "nginx may",
        "others not",
        "active\nafter reload",
        "the reload failed\nactive\nafter a typo",
        "cannot start: vpnws-age = 'soon'",
        "active\nafter a crash",
        "\nsuccess\n",
        "\nnothing is left\n",
        "\nall done\n",
    ):
        assert sentence in said, f"{sentence!r} is not in:\n{said}"


def test_the_tap_is_made_by_its_own_unit_and_outlives_the_switch() -> None:
    said = run_in_systemd(
        INSTALL
        + WITH_POOL
        + WITH_TAP
        + f"""
        for i in $(seq 20); do
            grep -q 'uplink vpn0 up' /var/log/vpnws-test.log || sleep 0.5
        done
        ip -d link show vpn0; ip address show vpn0
        {JOIN}
        systemctl restart vpnws.service
        {JOIN}
        stat -c '%a %U %n' /var/lib/vpnws /var/lib/vpnws/*
        systemctl stop vpnws.service
        ip address show vpn0 | grep 10.8.0.1/24 && echo it stays
        {LOG}
        systemctl stop vpnws-tap@vpn0.service
        ip link show vpn0 || echo it went
        echo all done
        """
    )
    for sentence in (
        "user vpnws",
        "LOWER_UP",
        "inet 10.8.0.1/24 scope global vpn0",
        "uplink vpn0 up network=default",
        "\nit stays\n",
        "\nit went\n",
        "\nall done\n",
    ):
        assert sentence in said, f"{sentence!r} is not in:\n{said}"
    assert " ERROR " not in said
    leased = [line for line in said.splitlines() if line.startswith("alice has ")]
    assert len(leased) == 2
    assert leased[0] == leased[1]
    assert '{"address": ["10.8.0.' in leased[0]
    assert "700 vpnws /var/lib/vpnws\n600 vpnws /var/lib/vpnws/vpnws.leases.db\n" in said


def test_by_hand_it_runs_in_the_place_that_the_page_asks_for() -> None:
    *before, start = told("useradd")
    said = run_in_systemd(
        "\n".join(before)
        + f"""
        {start} > /tmp/by-hand.log 2>&1 &
        for i in $(seq 40); do grep -q 'uplink vpn0 up' /tmp/by-hand.log || sleep 0.5; done
        ls -l /run/vpnws/vpnws.sock
        ip -d link show vpn0
        kill $!; wait
        ls -A /run/vpnws; ip link show vpn0 || echo it went
        cat /tmp/by-hand.log
        echo all done
        """
    )
    for sentence in (
        "vpnws vpnws",
        "user vpnws",
        "uplink vpn0 up network=default",
        "\nit went\n",
        "\nall done\n",
    ):
        assert sentence in said, f"{sentence!r} is not in:\n{said}"


def test_the_tap_waits_for_a_bridge_that_comes_late_but_not_for_ever() -> None:
    said = run_in_systemd(
        INSTALL
        + f"""
        bridge=/etc/systemd/system/vpnws-tap@.service.d/bridge.conf
        mkdir -p ${{bridge%/*}}
        printf '[Service]\\nEnvironment=BRIDGE=br0 BRIDGE_WAIT_S=%d\\n' 20 > $bridge
        printf 'StandardOutput=append:/var/log/vpnws-test.log\\nStandardError=inherit\\n' >> $bridge
        {DAEMON_RELOAD}
        (sleep 3; ip link add br0 type bridge) &
        systemctl start vpnws-tap@vpn0.service
        ip link show master br0
        systemctl stop vpnws-tap@vpn0.service
        ip link delete br0
        sed -i s/20/2/ $bridge
        {DAEMON_RELOAD}
        systemctl start vpnws-tap@vpn0.service || echo it failed
        ip link show vpn0 || echo nothing is left
        {LOG}
        echo all done
        """
    )
    for sentence in (
        "vpn0 waits for the bridge br0",
        ": vpn0: ",
        "the bridge br0 has not come in 2 s",
        "it failed",
        "nothing is left",
        "all done",
    ):
        assert sentence in said, f"{sentence!r} is not in:\n{said}"
