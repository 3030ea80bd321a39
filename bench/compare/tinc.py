"""tinc 1.0 as a switch of three nodes, where the stations reach each other through the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.compare.contestant import Contestant
from tests.support import processes
from tests.support.netns import SERVER_ADDRESS
from tests.support.service import Daemon

if TYPE_CHECKING:
    from tests.support.netns import Namespace

HUB = "hub"
KEY_BITS = "2048"

# IndirectData: others reach this node only through the one it is connected to.
_NODE = """\
Name = {name}
Mode = switch
Interface = tap0
AddressFamily = ipv4
ProcessPriority = normal
ReplayWindow = 64
"""
_HOST = """\
IndirectData = yes
Cipher = aes-256-cbc
Digest = sha256
Compression = 0
ClampMSS = yes
PMTUDiscovery = yes
"""


class Tinc(Contestant):
    """UDP with AES-256-CBC and HMAC-SHA-256: 1.0 knows no AEAD."""

    name = "tinc"
    sentence = "tinc 1.0, Mode = switch, UDP, AES-256-CBC with SHA-256"
    tools = ("tincd", "openssl")

    def start(self) -> None:
        """Make keys and configurations, start the hub, then the stations."""
        self.parts.enter_context(self.lan)
        nodes = {HUB: self.lan.server, "station0": self.stations[0], "station1": self.stations[1]}
        hosts = {name: self._make_key(name) for name in nodes}
        hosts[HUB] = f"Address = {SERVER_ADDRESS}\n{hosts[HUB]}"
        for index, (name, namespace) in enumerate(nodes.items(), -1):
            self._configure(name, "" if name == HUB else self.address(index), hosts)
            self._run(name, namespace)

    def _make_key(self, name: str) -> str:
        """Return the node's host file: options and public key."""
        home = self.directory / name
        (home / "hosts").mkdir(parents=True)
        key = home / "rsa_key.priv"
        processes.run(["openssl", "genrsa", "-traditional", "-out", str(key), KEY_BITS])
        key.chmod(0o600)
        public = processes.run(["openssl", "rsa", "-in", str(key), "-RSAPublicKey_out"]).stdout
        return _HOST + public

    def _configure(self, name: str, address: str, hosts: dict[str, str]) -> None:
        home = self.directory / name
        for host, text in hosts.items():
            (home / "hosts" / host).write_text(text)
        connect = f"ConnectTo = {HUB}\n" if address else ""
        (home / "tinc.conf").write_text(_NODE.format(name=name) + connect)
        give = f"ip address add {address}/24 dev $INTERFACE\n" if address else ""
        up = home / "tinc-up"
        up.write_text(f"#!/bin/sh\n{give}ip link set $INTERFACE up\n")
        up.chmod(0o755)

    def _run(self, name: str, namespace: Namespace) -> None:
        home = self.directory / name
        command = ["tincd", "-c", str(home), "-D", f"--pidfile={home}/pid"]
        self.parts.enter_context(Daemon(namespace, command))
