"""Name servers: set in the way that a machine has, and restored unless somebody changed them."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fakes.iproute import FakeSystem
from vpnws.client.janitor import dns, journal
from vpnws.client.janitor.dns import ResolvconfDeed, ResolvedDeed
from vpnws.client.janitor.journal import Place
from vpnws.client.janitor.machine import ChangeError
from vpnws.client.janitor.resolv_conf import (
    MAX_FILE_BYTES,
    ResolvConfDeed,
    left_by_power_failure,
)

if TYPE_CHECKING:
    from vpnws.client.janitor.deeds import Deed
    from vpnws.client.janitor.machine import Machine

SERVERS = ("10.8.0.1", "fd08::1")
BEFORE = "nameserver 192.168.5.1\nsearch home.example\n"


class Bed:
    def __init__(self, directory: Path) -> None:
        self.system = FakeSystem.home()
        self.machine: Machine = self.system.machine(directory)
        self.file = self.machine.resolv_conf
        self.file.write_text(BEFORE)
        self.directory = directory

    def plan(self) -> ResolvConfDeed:
        deed = dns.plan(self.machine, "tap0", SERVERS)
        assert isinstance(deed, ResolvConfDeed)
        return deed

    def files(self) -> list[str]:
        return sorted(path.name for path in self.directory.glob("resolv*"))


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path)


class TestTheFile:
    def test_it_is_replaced_and_restored(self, bed: Bed) -> None:
        bed.file.chmod(0o640)
        deed = bed.plan()
        deed.do(bed.machine)
        assert bed.file.read_text().splitlines()[1:] == [f"nameserver {each}" for each in SERVERS]
        assert bed.file.stat().st_mode & 0o777 == 0o640
        deed.do(bed.machine)
        assert deed.undo(bed.machine) == ""
        assert bed.file.read_text() == BEFORE
        assert bed.file.stat().st_mode & 0o777 == 0o640
        assert bed.files() == ["resolv.conf"]

    def test_a_link_comes_back_as_a_link(self, bed: Bed) -> None:
        target = bed.directory / "resolv.stub"
        bed.file.rename(target)
        bed.file.symlink_to(target.name)
        deed = bed.plan()
        deed.do(bed.machine)
        assert not bed.file.is_symlink()
        assert target.read_text() == BEFORE
        deed.undo(bed.machine)
        assert bed.file.readlink() == Path(target.name)

    def test_none_is_there_again_if_none_was(self, bed: Bed) -> None:
        bed.file.unlink()
        deed = bed.plan()
        deed.do(bed.machine)
        assert bed.file.exists()
        deed.undo(bed.machine)
        assert bed.files() == []

    def test_a_change_by_somebody_else_is_not_lost(self, bed: Bed) -> None:
        deed = bed.plan()
        deed.do(bed.machine)
        bed.file.write_text("nameserver 9.9.9.9\n")
        said = deed.undo(bed.machine)
        assert "was changed meanwhile, so it stays as it is; the original is " in said
        assert bed.file.read_text() == "nameserver 9.9.9.9\n"
        assert (bed.directory / "resolv.conf.before-vpnws").read_text() == BEFORE
        # And the next client does not take the wrong one for the original.
        with pytest.raises(ChangeError, match="look at both, and delete the one that is wrong"):
            bed.plan()

    def test_it_was_planned_and_not_done(self, bed: Bed) -> None:
        assert bed.plan().undo(bed.machine) == ""
        assert bed.file.read_text() == BEFORE

    def test_it_was_kept_and_not_yet_replaced(self, bed: Bed) -> None:
        deed = bed.plan()
        (bed.directory / "resolv.conf.before-vpnws").write_text(BEFORE)
        assert deed.undo(bed.machine) == ""
        assert bed.file.read_text() == BEFORE
        assert bed.files() == ["resolv.conf"]

    def test_one_that_is_mounted_is_written_in_its_place(
        self, bed: Bed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rename = Path.replace

        def replace(source: Path, target: Path) -> Path:
            if target == bed.file:
                raise OSError(errno.EBUSY, "Device or resource busy")
            return rename(source, target)

        monkeypatch.setattr(Path, "replace", replace)
        number = bed.file.stat().st_ino
        deed = bed.plan()
        deed.do(bed.machine)
        assert "nameserver 10.8.0.1" in bed.file.read_text()
        assert deed.undo(bed.machine) == ""
        assert bed.file.read_text() == BEFORE
        assert bed.file.stat().st_ino == number
        assert bed.files() == ["resolv.conf"]

    def test_a_full_disk_leaves_it_as_it_was(
        self, bed: Bed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        deed = bed.plan()
        monkeypatch.setattr("vpnws.client.janitor.resolv_conf.os.fsync", fail)
        with pytest.raises(ChangeError, match="cannot be replaced: No space left on device"):
            deed.do(bed.machine)
        assert bed.files() == ["resolv.conf"]
        assert bed.file.read_text() == BEFORE

    def test_one_that_is_no_such_file_is_left_alone(self, bed: Bed) -> None:
        bed.file.write_bytes(bytes(MAX_FILE_BYTES + 1))
        with pytest.raises(ChangeError, match="File too large"):
            bed.plan().do(bed.machine)

    def test_after_a_power_failure_ours_is_known_by_its_mark(self, bed: Bed) -> None:
        assert left_by_power_failure(bed.file) is None
        deed = bed.plan()
        deed.do(bed.machine)
        assert left_by_power_failure(bed.file) == deed


class TestServices:
    def test_resolved_gets_them_for_all_names(self, bed: Bed) -> None:
        stub = bed.directory / "systemd/resolve/stub-resolv.conf"
        stub.parent.mkdir(parents=True)
        stub.write_text("nameserver 127.0.0.53\n")
        bed.file.unlink()
        bed.file.symlink_to(stub)
        bed.system.programs |= {"resolvectl"}
        deed = dns.plan(bed.machine, "tap0", SERVERS)
        assert isinstance(deed, ResolvedDeed)
        deed.do(bed.machine)
        assert deed.undo(bed.machine) == ""
        assert bed.system.commands == [
            ("resolvectl", "dns", "tap0", *SERVERS),
            ("resolvectl", "domain", "tap0", "~."),
            ("resolvectl", "revert", "tap0"),
        ]
        # With the device its name servers are gone.
        bed.system.delete_device("tap0")
        bed.system.commands.clear()
        assert deed.undo(bed.machine) == ""
        assert bed.system.commands == []

    @pytest.mark.parametrize(
        ("has_order", "record"), [(False, "tap0.vpnws"), (True, "tun.tap0.vpnws")]
    )
    def test_resolvconf_gets_a_record(
        self,
        bed: Bed,
        has_order: bool,
        record: str,
    ) -> None:
        if has_order:
            (bed.directory / "resolvconf").mkdir()
            (bed.directory / "resolvconf/interface-order").touch()
        bed.system.programs |= {"resolvconf"}
        deed = dns.plan(bed.machine, "tap0", SERVERS)
        assert isinstance(deed, ResolvconfDeed)
        deed.do(bed.machine)
        assert deed.undo(bed.machine) == ""
        assert bed.system.commands == [
            ("resolvconf", "-a", record, "-m", "0", "-x"),
            ("resolvconf", "-d", record),
        ]
        assert bed.system.texts[0] == "nameserver 10.8.0.1\nnameserver fd08::1\n"
        assert bed.file.read_text() == BEFORE

    @pytest.mark.parametrize("program", ["resolvectl", "resolvconf"])
    def test_one_that_fails_is_told(self, bed: Bed, program: str) -> None:
        deed = (
            ResolvedDeed("tap0", bed.machine.index_of("tap0"), SERVERS)
            if program == "resolvectl"
            else ResolvconfDeed("tap0.vpnws", SERVERS)
        )
        bed.system.programs |= {program}
        bed.system.fails[program] = "Failed to connect to bus"
        with pytest.raises(ChangeError, match="name servers: Failed to connect to bus"):
            deed.do(bed.machine)
        assert deed.undo(bed.machine).endswith("stay: Failed to connect to bus")

    def test_each_is_undone_from_a_journal(self, bed: Bed) -> None:
        place = Place(bed.directory / "tap0.1-1.journal")
        deeds: list[Deed] = [
            ResolvedDeed("tap0", 2, SERVERS),
            ResolvconfDeed("tap0.vpnws", SERVERS),
            bed.plan(),
        ]
        journal.write(place, deeds)
        assert journal.read(place) == deeds
        assert place.path.stat().st_mode & 0o777 == 0o600
        assert (place.tap, place.network) == ("tap0", "1-1")
