"""docs/modes.md does what it says: its blocks typed into shells, on beds like its pictures."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

pytestmark = pytest.mark.netns

PAGE = MODES_PAGE.read_text()
BLOCKS = blocks(PAGE)
NGINX = [block for block in BLOCKS if block.language == "nginx"]
MAPS = [block.text for block in NGINX if block.tags == ["map"]]
LOCATIONS = [block.text for block in NGINX if block.tags != ["map"]]
CONFIG = "\n".join([*MAPS, with_locations("\n".join(LOCATIONS))])
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
        (self._directory / "nginx.conf").write_text(CONFIG)

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
    return re.sub(r"^tap0 has .*", "tap0 has", line)


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


class Joined(Assembly):
    """nginx with the page's locations, and the switch behind it, to join without a TAP."""

    def __init__(
        self, users: Mapping[str, str], members: Mapping[str, Collection[str]] | None = None
    ) -> None:
        self._users = users
        self._members = members

    def build(self) -> None:
        """Start nginx, then the switch."""
        self._server = self.parts.enter_context(Namespace("server"))
        config = Path(self.parts.enter_context(tempfile.TemporaryDirectory())) / "nginx.conf"
        config.write_text(CONFIG)
        self._nginx = self.parts.enter_context(
            Nginx(self._server, config=config, users=self._users, members=self._members)
        )
        self.uwsgi = self.parts.enter_context(
            Uwsgi(namespace=self._server, socket_path=self._nginx.socket_path)
        )

    def join(self, path: str, *headers: tuple[str, str], rights: str = "") -> int:
        """Ask to join, return the status, and see that the log then has `rights`."""
        tls = self._nginx.ca.client_context()
        with RawClient("127.0.0.1", 443, namespace=self._server, tls=tls) as client:
            status = client.upgrade(path, headers).status
            if rights:
                self.uwsgi.wait_for_log(rights)
            return status


def test_each_location_gives_the_right_that_it_names() -> None:
    granted = re.findall(
        r"location = (\S+) \{.*?uwsgi_param VPNWS_(\w+) +([^$\s]+);",
        "\n".join(LOCATIONS),
        re.DOTALL,
    )
    shown = {"BRIDGE": "community,bridge", "ALLOW": "community,allow:", "ROLE": ""}
    assert {name for _, name, _ in granted} == set(shown)
    with Joined({"alice": PASSWORD}) as bed:
        for path, name, value in granted:
            said = shown[name] + ("" if name == "BRIDGE" else value.replace(",", "+"))
            assert bed.join(path, basic("alice", PASSWORD), rights=f"rights={said} ") == 101
            assert bed.join(path) == 401


def test_no_user_takes_the_rights_of_another_location_by_its_url() -> None:
    file_of = dict(re.findall(r"location = (\S+) \{[^}]*?user_file vpnws/(\S+);", CONFIG))
    assert {"/branch", "/contractors", "/team", "/admin", "/member", "/vpn"} <= file_of.keys()
    # A user for each file, whose name is the file's.
    users = dict.fromkeys(file_of.values(), PASSWORD)
    with Joined(users, {file: [file] for file in users}) as bed:
        for mine, own in file_of.items():
            opened = {there for there in file_of if bed.join(there, basic(own, PASSWORD)) != 401}
            assert opened == {mine}


def test_one_location_gives_each_user_the_rights_of_their_name() -> None:
    with Joined({"alice": PASSWORD, "bob": PASSWORD, "carol": PASSWORD}) as bed:
        for user, network, role in (("alice", "blue", "promiscuous"), ("bob", "red", "isolated")):
            login = basic(user, PASSWORD)
            assert bed.join("/member", login, rights=f"network={network} user={user} ") == 101
            (line,) = [
                line
                for line in bed.uwsgi.log_text().splitlines()
                if f"user={user} " in line and " up " in line
            ]
            assert f"rights={role} " in line
        assert bed.join("/member", basic("carol", PASSWORD)) == 500
        assert bed.join("/member", basic("alice", "guess")) == 401
