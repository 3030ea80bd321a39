"""Every reason for a drop is explained, with a remedy, at every kind of port."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from vpnws.server.port.explanations import AT_A_TAP, AT_A_TRUNK, EXPLANATIONS, explain
from vpnws.switch.drop import Drop

if TYPE_CHECKING:
    from vpnws.control.views import PortKind

KINDS: tuple[PortKind, ...] = ("station", "tap", "trunk")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reason", Drop)
def test_each_has_its_sentence(reason: Drop, kind: PortKind) -> None:
    says = explain(reason, kind)
    assert says.why
    assert says.remedy
    assert not re.search(r"[.:]$|^[A-Z](?!PNWS)", says.why), "it stands within a sentence"
    assert "{" not in says.sentence("port 1.7")


def test_who_has_the_mac_is_named() -> None:
    assert "port 1.7" in explain(Drop.MAC_TAKEN).sentence("port 1.7")


def test_a_special_table_says_something_else() -> None:
    for special in (AT_A_TAP, AT_A_TRUNK):
        assert all(EXPLANATIONS[reason] != says for reason, says in special.items())
