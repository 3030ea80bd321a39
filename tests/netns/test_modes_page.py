"""docs/modes.md does what it says: its blocks typed into shells, on beds like its pictures."""

from __future__ import annotations

import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.assembly import Assembly
from tests.support.markdown import Block, Command, blocks, commands, table
from tests.support.netns import Namespace, make_bridge
from tests.support.nginx import Nginx
from tests.support.prerequisites import require, require_tap
from tests.support.raw_client import RawClient, basic
from tests.support.routing import MODES_PAGE
from tests.support.shell import Shell
from tests.support.site import with_locations
from tests.support.uwsgi import BINARY, Uwsgi
from vpnws.config import Settings

pytestmark = pytest.mark.netns

PAGE = MODES_PAGE.read_text()
BLOCKS = blocks(PAGE)
LOCATIONS = [block.text for block in BLOCKS if block.language == "nginx"]
MODES = ["switch", "bridge", "router"]
SERVER = "192.0.2.1"
PASSWORD = "wonderland"
STATIONS = {"station": "192.0.2.2", "other": "192.0.2.3", "branch": "192.0.2.4"}
BEHIND = {"bridge": "10.8.0.100/24", "router": "198.51.100.7/24"}
EXITED = "status of that:"


class Bed(Assembly):
    """The machines that the page speaks of, each a namespace, and a shell in each."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._machines: dict[str, Namespace] = {}
        self._shells: dict[str, Shell] = {}

    def build(self) -> None:
        """Make the machines and their cables, then nginx."""
        self._directory = Path(self.parts.enter_context(tempfile.TemporaryDirectory()))
        self._lay_cables()
        self._write_files()
        config = self._directory / "nginx.conf"
        self._nginx = self.parts.enter_context(
            Nginx(self._machines["server"], config=config, server_names=[SERVER])
        )

    def do(self, block: Block) -> None:
        """Run a block's commands where it says."""
        for command in commands(block):
            self._run(self._shell(block.tags[1]), command)

    def _run(self, shell: Shell, command: Command) -> None:
        text = self._as_here(command.text)
        if text.endswith("&") or command.output:
            shell.type(text, [self._as_here(line) for line in map(expected, command.output)])
        else:
            shell.type(f"{text}; echo '{EXITED}' $?", [f"{EXITED} 0"])

    def _lay_cables(self) -> None:
        server = self._machine("server")
        make_bridge(server, name="road")
        server.ip(f"address add {SERVER}/24 dev road")
        for name, address in STATIONS.items():
            station = self._machine(name)
            server.ip(f"link add to-{name} type veth peer name eth0 netns {station.name}")
            server.ip(f"link set to-{name} master road up")
            station.ip(f"address add {address}/24 dev eth0")
            station.ip("link set eth0 up")
        if self._mode in BEHIND:
            self._behind("server", "lan", BEHIND[self._mode])
            self._behind("branch", "branch-host", "10.8.0.150/24")
        if self._mode == "router":
            server.ip("address add 198.51.100.1/24 dev eth1")

    def _behind(self, machine: str, name: str, address: str) -> None:
        host = self._machine(name)
        self._machines[machine].ip(f"link add eth1 type veth peer name eth0 netns {host.name}")
        self._machines[machine].ip("link set eth1 up")
        host.ip(f"address add {address} dev eth0")
        host.ip("link set eth0 up")

    def _write_files(self) -> None:
        for block in BLOCKS:
            if block.language == "sh" and block.tags[1:]:
                file = self._directory / Path(block.tags[1]).name
                file.write_text(block.text + "\n")
                file.chmod(0o755)
            if block.language == "nft":
                (self._directory / "vpnws.nft").write_text(block.text + "\n")
        (self._directory / "vpnws.pw").write_text(PASSWORD + "\n")
        (self._directory / "nginx.conf").write_text(with_locations("\n".join(LOCATIONS)))

    def _machine(self, name: str) -> Namespace:
        self._machines[name] = self.parts.enter_context(Namespace(name))
        return self._machines[name]

    def _shell(self, machine: str) -> Shell:
        if machine not in self._shells:
            shell = Shell(self._machines[machine].name)
            self._shells[machine] = self.parts.enter_context(shell)
        return self._shells[machine]

    def _as_here(self, text: str) -> str:
        """Return a line with this environment's programs, files, names and certificates."""
        socket = f"--set-placeholder vpnws-socket={self._nginx.socket_path}"
        client = f"{sys.executable} -m vpnws.client"
        for there, here in (
            # Paths of this machine come in later, and must not be taken for the page's.
            ("/tmp/", f"{self._directory}/"),
            ("/etc/vpnws", f"{self._directory}/vpnws"),
            (".venv/bin/uwsgi", f"{BINARY} {socket}"),
            (".venv/bin/vpnws-client --bridge", f"{client} --ca {self._nginx.ca.crt} --bridge"),
            (".venv/bin/vpnws-client", client),
            ("wss://vpn.example.org", f"wss://{SERVER}"),
        ):
            text = text.replace(there, here)
        return text


def expected(line: str) -> str:
    """Return what must be seen of a line: which address was leased is the DHCP server's choice."""
    return re.sub("^udhcpc: lease of .* obtained", "obtained", line)


@pytest.fixture(scope="module", autouse=True)
def prerequisites() -> None:
    require_tap()
    require("nginx", "ping", "bash", "dnsmasq", "busybox", "nft")


@pytest.mark.parametrize("mode", MODES)
def test_the_commands_of_a_mode_do_what_the_page_says(mode: str) -> None:
    of_mode = [block for block in BLOCKS if commands(block) and block.tags[0] == mode]
    assert len(of_mode) >= 3
    with Bed(mode) as bed:
        for block in of_mode:
            bed.do(block)


def test_every_command_is_of_a_mode() -> None:
    assert {block.tags[0] for block in BLOCKS if commands(block)} == set(MODES)
    rows = table(PAGE, "`vpnws-mode`")
    choices = Settings.__dataclass_fields__["mode"].metadata["choices"]
    assert tuple(row[0].split("`")[1] for row in rows) == choices


def test_each_location_gives_the_right_that_it_names() -> None:
    granted = re.findall(
        r"location = (\S+) \{.*?uwsgi_param VPNWS_(\w+) +(\S+);", "\n".join(LOCATIONS), re.DOTALL
    )
    shown = {"BRIDGE": "community,bridge", "ALLOW": "community,allow:", "ROLE": ""}
    assert {name for _, name, _ in granted} == set(shown)
    with ExitStack() as stack:
        server = stack.enter_context(Namespace("server"))
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = directory / "nginx.conf"
        config.write_text(with_locations("\n".join(LOCATIONS)))
        nginx = stack.enter_context(Nginx(server, config=config))
        uwsgi = stack.enter_context(Uwsgi(namespace=server, socket_path=nginx.socket_path))
        for path, name, value in granted:
            said = shown[name] + ("" if name == "BRIDGE" else value.replace(",", "+"))
            context = nginx.ca.client_context()
            with RawClient("127.0.0.1", 443, namespace=server, tls=context) as client:
                assert client.upgrade(path, [basic("alice", PASSWORD)]).status == 101
                uwsgi.wait_for_log(f"rights={said} ")
            with RawClient("127.0.0.1", 443, namespace=server, tls=context) as client:
                assert client.upgrade(path).status == 401
