"""What uWSGI is told behind each proxy: nothing that a client says of itself."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.support.netns import Lan
from tests.support.prerequisites import require, require_root
from tests.support.proxied import Proxied
from tests.support.proxies import KINDS, Kind
from tests.support.tell import read_told, write_tell

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.netns

LIE = "forged"
FORWARDED = ("User", "DN", "For", "Proto")
SPELLINGS = [
    "".join(("X", one, "Forwarded", other, last))
    for last, one, other in itertools.product(FORWARDED, "-_", "-_")
]
VARIABLES = ("REMOTE_USER", "DN", "HTTPS_DN", "REMOTE_ADDR", "VPNWS_NETWORK", "VPNWS_ROLE")


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def told_by(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxied]:
    """Yield an app that tells its variables behind each proxy in turn."""
    kind: Kind = request.param
    require_root()
    require("ip", "unshare", "openssl", *kind.tools)
    with Proxied(kind, 1, ini=write_tell(tmp_path_factory.mktemp("tell"))) as proxied:
        yield proxied


def believed(bed: Proxied, *headers: tuple[str, str]) -> list[dict[str, str]]:
    """Join with these headers in every way there is; return what was told, once it is true."""
    told = []
    for certified in {True, not bed.kind.knows_passwords}:
        with bed.enter(*headers, certified=certified) as client:
            told.append(read_told(client))
        assert forwarded(told[-1]) == truth(bed, certified=certified)
    return told


def forwarded(variables: dict[str, str]) -> dict[str, str]:
    """Return the variables that vpnws or uWSGI believes, without those that are empty."""
    names = (f"HTTP_X_FORWARDED_{last.upper()}" for last in FORWARDED)
    return {name: variables[name] for name in (*names, *VARIABLES) if variables.get(name)}


def truth(bed: Proxied, *, certified: bool) -> dict[str, str]:
    """Return what `forwarded` must be."""
    if not bed.kind.knows_passwords:
        # The router's own uWSGI sees a station on an IPv6 socket.
        address = f"::ffff:{Lan.address(0)}"
        return {"HTTP_X_FORWARDED_PROTO": "https", "HTTPS_DN": bed.dn, "REMOTE_ADDR": address}
    name = {"HTTP_X_FORWARDED_DN": bed.dn} if certified else {"HTTP_X_FORWARDED_USER": "alice"}
    here = {"HTTP_X_FORWARDED_FOR": Lan.address(0), "HTTP_X_FORWARDED_PROTO": "https"}
    return {**name, **here, "REMOTE_ADDR": "127.0.0.1"}


@pytest.mark.parametrize("name", SPELLINGS)
def test_one_header_is_no_help(told_by: Proxied, name: str) -> None:
    for spelt in (name, name.lower(), name.upper()):
        believed(told_by, (spelt, LIE))


def test_all_of_them_twice_are_no_help(told_by: Proxied) -> None:
    lies = [(name, LIE) for name in SPELLINGS]
    believed(told_by, *lies, *lies)


def test_a_header_is_never_a_variable(told_by: Proxied) -> None:
    lies = [
        (spelt, LIE)
        for name in VARIABLES
        for spelt in (name, name.replace("_", "-"), f"HTTP_{name}", f"X-{name}")
    ]
    for told in believed(told_by, *lies):
        assert [name for name, value in told.items() if LIE in value and name[:5] != "HTTP_"] == []


def test_a_station_cannot_have_its_name_taken_off(told_by: Proxied) -> None:
    """A proxy removes what `Connection` names (RFC 9110 7.6.1), but not what it sets itself."""
    named = ", ".join(f"X-Forwarded-{last}" for last in FORWARDED)
    believed(told_by, ("Connection", f"Upgrade, {named}"))
