"""Claims that are carried over a reload: what is written is read once, and nothing else is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from vpnws.server.peers import kept_claims
from vpnws.server.peers.kept_claims import MAX_FILE_BYTES, Claim, KeptClaims

if TYPE_CHECKING:
    from pathlib import Path

SECRET = bytes(range(16))
CLAIMS = (Claim(b"k" * 16, b"alice...", 12.5), Claim(b"l" * 16, b"bob.....", 99.0))


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr(kept_claims, "DIRECTORY", tmp_path)
    environment: dict[str, str] = {}
    kept_claims.prepare(environment)
    return environment


def only_file(directory: Path) -> Path:
    (file,) = directory.iterdir()
    return file


def test_what_is_written_is_read_once(environment: dict[str, str], tmp_path: Path) -> None:
    kept_claims.write(environment, SECRET, CLAIMS)
    assert kept_claims.take(environment) == KeptClaims(SECRET, CLAIMS)
    assert list(tmp_path.iterdir()) == []
    assert kept_claims.take(environment) is None


def test_the_last_one_to_write_is_read(environment: dict[str, str]) -> None:
    kept_claims.write(environment, SECRET, CLAIMS)
    kept_claims.write(environment, SECRET, ())
    assert kept_claims.take(environment) == KeptClaims(SECRET, ())


def test_nobody_else_reads_it(environment: dict[str, str], tmp_path: Path) -> None:
    kept_claims.write(environment, SECRET, CLAIMS)
    assert only_file(tmp_path).stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_is_not_left_behind(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on a full disk nor where somebody else's file of that name cannot be replaced."""
    names = []

    def replace(draft: Path, target: Path) -> None:
        names.extend([draft.name, target.name])
        raise PermissionError

    monkeypatch.setattr(type(tmp_path), "replace", replace)
    with pytest.raises(PermissionError):
        kept_claims.write(environment, SECRET, CLAIMS)
    assert list(tmp_path.iterdir()) == []
    draft, target = names
    assert target not in draft, "it does not tell the name of the file that follows"


def test_what_a_process_left_that_was_killed_is_removed(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(type(tmp_path), "replace", lambda *_: None)
        kept_claims.write(environment, SECRET, CLAIMS)
    assert len(list(tmp_path.iterdir())) == 1
    assert kept_claims.take(environment) is None
    assert list(tmp_path.iterdir()) == []


def test_two_servers_have_two_files(environment: dict[str, str]) -> None:
    other: dict[str, str] = {}
    kept_claims.prepare(other)
    kept_claims.write(environment, SECRET, CLAIMS)
    assert kept_claims.take(other) is None


@pytest.mark.parametrize("broken", [b"", b"nonsense", "cut", "changed", "long"])
def test_a_broken_one_is_refused_and_removed(
    environment: dict[str, str], tmp_path: Path, broken: bytes | str
) -> None:
    kept_claims.write(environment, SECRET, CLAIMS)
    file = only_file(tmp_path)
    data = file.read_bytes()
    changed = data[:40] + bytes((data[40] ^ 1,)) + data[41:]
    file.write_bytes(
        {"cut": data[:-1], "changed": changed, "long": b""}.get(broken, b"")
        if isinstance(broken, str)
        else broken
    )
    if broken == "long":
        os.truncate(file, MAX_FILE_BYTES + 1)
    with pytest.raises(ValueError, match=r"cannot be read|is longer than"):
        kept_claims.take(environment)
    assert list(tmp_path.iterdir()) == []


def test_no_link_and_no_pipe_is_read(environment: dict[str, str], tmp_path: Path) -> None:
    kept_claims.write(environment, SECRET, CLAIMS)
    file = only_file(tmp_path)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        kept_claims.take(environment)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ValueError, match="is not a file of this user"):
        kept_claims.take(environment)


def test_another_users_file_is_refused(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_claims.write(environment, SECRET, CLAIMS)
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    with pytest.raises(ValueError, match="is not a file of this user"):
        kept_claims.take(environment)


@pytest.mark.parametrize("name", ["", "../../etc/passwd"])
def test_a_name_that_no_server_chose_is_not_used(tmp_path: Path, name: str) -> None:
    environment = {kept_claims.FILE_VARIABLE: name}
    kept_claims.write(environment, SECRET, CLAIMS)
    assert kept_claims.take(environment) is None
