"""What the allocator relies on in a table of leases: checks for the file and its twin alike."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from vpnws.lease.table import LEFT, Row

if TYPE_CHECKING:
    from vpnws.lease.table import Table


def row(address: str, *, network: str = "default", key: bytes = b"alice", port: int = 1) -> Row:
    """Return a lease of `address` that a port of process 0 has held since 100 s, for 50 s."""
    mac = b"\2\0\0\0\0\1"
    return Row(network, ip_address(address), key, mac, "Alicé", 0, port, 100.0, 150.0)


class TableContract:
    """One check per method named `check_...`; each begins with an empty table."""

    def __init__(self, table: Table) -> None:
        self.table = table

    @classmethod
    def checks(cls) -> list[str]:
        """Return the names of all checks."""
        return sorted(name for name in vars(cls) if name.startswith("check_"))

    def check_what_is_put_is_there_until_it_is_removed(self) -> None:
        """Each address of a network has one row."""
        table, first = self.table, row("10.8.0.1")
        assert table.at("default", first.address) is None
        table.put(first)
        table.put(row("10.8.0.1", network="blue"))
        assert table.at("default", first.address) == first
        table.put(replace(first, port=LEFT, name="x" * 128))
        assert table.at("default", first.address) == replace(first, port=LEFT, name="x" * 128)
        assert table.count() == 2
        table.remove(first)
        table.remove(first)
        assert table.at("default", first.address) is None
        assert table.at("blue", first.address) is not None
        assert table.count() == 1

    def check_whose_rows_are_found_by_key_and_by_port(self) -> None:
        """Of one network and version, in the order of addresses; of a port, the oldest first."""
        table = self.table
        mine = [row(address, port=7) for address in ("10.8.0.9", "10.8.0.10", "fd00::1")]
        mine[0] = replace(mine[0], since_s=120.0)
        for one in (*mine, row("10.8.0.3", key=b"bob"), row("10.8.0.3", network="blue", port=LEFT)):
            table.put(one)
        assert table.of("default", 4, b"alice") == mine[:2]
        assert table.of("default", 6, b"alice") == mine[2:]
        assert [str(one.address) for one in table.held_by(0, 7)][-1] == "10.8.0.9"
        assert len(table.held_by(0, 7)) == 3
        assert table.held_by(1, 7) == []
        assert table.held_by(0, LEFT) == []

    def check_held_rows_are_those_of_a_process(self) -> None:
        """Rows of who has left are not held."""
        table = self.table
        for one in (row("10.8.0.1"), replace(row("10.8.0.2"), slot=1), row("10.8.0.3", port=LEFT)):
            table.put(one)
        assert [str(one.address) for one in table.held(0)] == ["10.8.0.1"]
        assert [str(one.address) for one in table.held(1)] == ["10.8.0.2"]

    def check_the_row_that_ended_first_is_the_first_free(self) -> None:
        """Only rows of who has left end, and not before their time."""
        table = self.table
        for number, (port, until_s) in enumerate([(1, 10.0), (LEFT, 30.0), (LEFT, 20.0)]):
            table.put(replace(row(f"10.8.0.{number}", port=port), until_s=until_s))
        table.put(replace(row("fd00::1", port=LEFT), until_s=15.0))
        table.put(replace(row("10.8.0.9", network="blue", port=LEFT), until_s=12.0))
        assert table.first_free(19.0, "default", 4) is None
        for now_s, network, version, address in (
            (20.0, "default", 4, "10.8.0.2"),
            (99.0, "default", 6, "fd00::1"),
            (99.0, "", 0, "10.8.0.9"),
        ):
            found = table.first_free(now_s, network, version)
            assert found is not None
            assert str(found.address) == address

    def check_taken_addresses_are_all_that_have_rows(self) -> None:
        """Those of one network and version, held or not."""
        for one in (row("10.8.0.1"), row("10.8.0.2", port=LEFT), row("fd00::1")):
            self.table.put(one)
        assert self.table.taken("default", 4) == {ip_address("10.8.0.1"), ip_address("10.8.0.2")}
        assert self.table.taken("blue", 4) == set()

    def check_rows_have_an_order_by_network_version_and_number(self) -> None:
        """Text order would put 10.8.0.10 before 10.8.0.9."""
        places = [
            ("blue", "10.8.0.1"),
            ("blue", "fd00::1"),
            ("red", "10.8.0.9"),
            ("red", "10.8.0.10"),
        ]
        for network, address in reversed(places):
            self.table.put(row(address, network=network))
        found = self.table.rows(None, 3)
        assert [(one.network, str(one.address)) for one in found] == places[:3]
        last = found[-1]
        rest = self.table.rows((last.network, last.address.version, last.address), 3)
        assert [(one.network, str(one.address)) for one in rest] == places[3:]

    def check_changes_may_be_within_changes(self) -> None:
        """The outer one counts."""
        with self.table.change():
            with self.table.change():
                self.table.put(row("10.8.0.1"))
            self.table.put(row("10.8.0.2"))
        assert self.table.count() == 2
