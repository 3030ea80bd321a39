"""The server as vassals of a real emperor: links to uwsgi.ini, inis of a site, several at once."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.live.server import Station, reach
from tests.support.frames import mac
from tests.support.markdown import blocks
from tests.support.raw_client import RawClient
from tests.support.service import Service
from tests.support.uwsgi import BINARY, INI, free_port
from tests.support.uwsgi_client import UwsgiClient
from tests.support.waiting import wait_for
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.live

START_S = 20.0
# The emperor looks at its directory every 3 seconds.
NOTICED_S = 25.0


class Emperor(Service):
    """`uwsgi --emperor` over a directory of its own, from the start of a `with` block to its end.

    Vassals share two workers each, to be quick.
    """

    name = "emperor"

    def __init__(self, *options: str) -> None:
        """`options` are the emperor's."""
        super().__init__()
        self._options = options

    @property
    def vassals(self) -> Path:
        """The directory that the emperor looks into."""
        return self.directory / "vassals"

    def lay_out(self) -> None:
        """Make the vassals' directory."""
        self.vassals.mkdir()

    def command(self) -> list[str]:
        """Return the command line."""
        return [str(BINARY), "--emperor", str(self.vassals), "--die-on-term", *self._options]

    def working_directory(self) -> Path:
        """Return its own directory."""
        return self.directory

    def stop(self) -> int:
        """End the emperor and its vassals; its exit status must be 0."""
        status = super().stop()
        assert status == 0
        return status

    def pids_of(self, vassal: str) -> list[int]:
        """Return the ids of one vassal's processes."""
        return [pid for pid in self.pids() if f"\0{vassal}.ini" in _command_line(pid)]

    def link(self, vassal: str) -> Path:
        """Make a link to the project's ini as a vassal; return where it will listen."""
        (self.vassals / f"{vassal}.ini").symlink_to(INI)
        return self.vassals / f"{vassal}.sock"

    def site(self, vassal: str, text: str) -> Path:
        """Write a vassal's own ini, where {ini} is the project's; return where it will listen."""
        path = self.vassals / f"{vassal}.ini"
        # In one step: the emperor may look while a file is being written.
        draft = self.directory / f"{vassal}.draft"
        draft.write_text("[uwsgi]\n" + text.format(ini=INI))
        draft.rename(path)
        return self.vassals / f"{vassal}.sock"

    def wait_until_ready(self, vassal: str, count: int = 1) -> None:
        """Wait until a vassal has said `count` times that it serves."""
        said = f"[emperor] vassal {vassal}.ini is ready to accept requests"
        wait_for(lambda: self.log_text().count(said) >= count, START_S, said)


@contextmanager
def stations(*sockets: Path) -> Iterator[list[Station]]:
    """Join a station at each of these sockets."""
    with ExitStack() as stack:
        yield [stack.enter_context(join(path, number)) for number, path in enumerate(sockets, 1)]


def join(path: Path, number: int) -> Station:
    """Join a station with this number's MAC at a vassal's socket."""
    station = Station(UwsgiClient(path), mac(number))
    variables = {"HTTP_X_VPN_WS_MAC": format_mac(station.mac)}
    assert isinstance(station.client, UwsgiClient)
    assert station.client.ask(variables).status == 101
    return station.joined()


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_two_links_to_the_ini_are_two_switches_with_a_socket_each() -> None:
    with Emperor() as emperor:
        blue, red = emperor.link("blue"), emperor.link("red")
        emperor.wait_until_ready("blue")
        emperor.wait_until_ready("red")
        with stations(blue, blue, red, red) as (one, two, three, four):
            reach(one, two)
            reach(three, four)
            sent = one.send()
            two.expect(sent)
            assert three.is_quiet(0.3)
            four.expect(three.send(one.mac, mark=b"unknown on red, so flooded there"))
            assert one.is_quiet(0.3)
        assert "127.0.0.1:8080" not in emperor.log_text()
        assert "CRITICAL" not in emperor.log_text()
        emperor.stop()
        assert sorted(path.name for path in emperor.vassals.iterdir()) == ["blue.ini", "red.ini"]


@pytest.mark.parametrize("how", ["ini", "include"])
def test_a_vassal_may_have_an_ini_of_its_own(how: str) -> None:
    text = f"set-placeholder = vpnws-max-ports=2\n{how} = {{ini}}\nworkers = 1\n"
    with Emperor() as emperor:
        first, second = emperor.site("first", text), emperor.site("second", text)
        emperor.wait_until_ready("first")
        emperor.wait_until_ready("second")
        with stations(first, first, second) as (one, two, other):
            reach(one, two)
            assert other.is_quiet()
            third = UwsgiClient(first)
            assert third.ask({"HTTP_X_VPN_WS_MAC": "02:00:00:00:00:09"}).status == 503
            third.close()


def test_the_vassal_of_the_page_serves() -> None:
    page = (INI.parent / "docs" / "install.md").read_text()
    (shown,) = [block.text for block in blocks(page) if "vassal" in block.tags]
    text = shown.removeprefix("[uwsgi]\n").replace("/opt/vpnws/uwsgi.ini", "{ini}")
    with Emperor() as emperor:
        # A test has neither that user nor the right to write there.
        here = text.replace("uid = vpnws\ngid = vpnws\n", "").replace("/run/vpnws", "{directory}")
        emperor.site("green", here.replace("{directory}", str(emperor.directory)))
        emperor.wait_until_ready("green")
        green = emperor.directory / "green.sock"
        with stations(green, green) as (one, two):
            reach(one, two)


def test_a_vassal_listens_for_http_only_where_it_says_so() -> None:
    port = free_port()
    with Emperor() as emperor:
        emperor.site("web", f"set-placeholder = vpnws-http=127.0.0.1:{port}\nini = {{ini}}\n")
        emperor.link("plain")
        emperor.wait_until_ready("web")
        emperor.wait_until_ready("plain")
        with RawClient("127.0.0.1", port) as client:
            assert client.upgrade(headers=[("X-vpn-ws-MAC", "02:00:00:00:00:01")]).status == 101
        bound = [line for line in emperor.log_text().splitlines() if "bound to TCP" in line]
        assert len(bound) == 1


def test_a_vassal_whose_setting_comes_too_late_is_refused() -> None:
    late = f"ini = {{ini}}\nset-placeholder = vpnws-http=127.0.0.1:{free_port()}\n"
    with Emperor() as emperor:
        emperor.site("late", late)
        wait_for(lambda: "cannot start: vpnws-http" in emperor.log_text(), START_S, "the refusal")


def test_a_touched_vassal_reloads_and_the_other_does_not_notice() -> None:
    with Emperor("--emperor-nofollow") as emperor:
        blue, red = emperor.link("blue"), emperor.link("red")
        emperor.wait_until_ready("blue")
        emperor.wait_until_ready("red")
        with stations(blue, red, red) as (one, two, three):
            before = emperor.pids_of("red")
            # The emperor compares whole seconds.
            later_s = time.time() + 2
            os.utime(emperor.vassals / "blue.ini", (later_s, later_s), follow_symlinks=False)
            assert one.client.read_close(NOTICED_S).close_code == 1012
            emperor.wait_until_ready("blue", 2)
            assert emperor.pids_of("red") == before
            reach(two, three)
            with join(blue, 9) as again:
                assert again.is_quiet()


def test_a_removed_vassal_stops_and_the_other_does_not_notice() -> None:
    with Emperor() as emperor:
        blue, red = emperor.link("blue"), emperor.link("red")
        emperor.wait_until_ready("blue")
        emperor.wait_until_ready("red")
        with stations(blue, red, red) as (one, two, three):
            (emperor.vassals / "blue.ini").unlink()
            assert one.client.read_close(NOTICED_S).close_code == 1012
            wait_for(lambda: not emperor.pids_of("blue"), NOTICED_S, "blue to be gone")
            assert not blue.exists()
            reach(two, three)


def test_a_vassal_that_is_killed_comes_back() -> None:
    with Emperor() as emperor:
        blue = emperor.link("blue")
        emperor.wait_until_ready("blue")
        os.kill(min(emperor.pids_of("blue")), signal.SIGKILL)
        emperor.wait_until_ready("blue", 2)
        with stations(blue, blue) as (one, two):
            reach(one, two)
