"""The frames that announce a station's addresses, and the MAC that it keeps."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.support import frames
from vpnws.client.connect.url import parse_url
from vpnws.client.settings import ClientSettings
from vpnws.client.system import mac as mac_module
from vpnws.client.system.mac import default_mac, machine_name
from vpnws.https.tls import TlsSettings
from vpnws.wire.announce import announcements
from vpnws.wire.ethernet import is_station_address

MAC = frames.mac(0x0A)
ALL_NODES_MAC = bytes.fromhex("333300000001")
OVERRIDE, ROUTER = 0x20000000, 0x80000000
MACHINE = ("0" * 31 + "1", "host ")


def test_an_ipv4_address_is_announced_by_an_arp_request_for_itself() -> None:
    (frame,) = announcements(MAC, [ip_address("10.8.0.2").packed], is_router=False)
    ends = (MAC, "10.8.0.2"), (bytes(6), "10.8.0.2")
    assert frame == frames.arp(frames.ARP_REQUEST, *ends, macs=b"\xff" * 6 + MAC)


@pytest.mark.parametrize(("is_router", "flags"), [(False, OVERRIDE), (True, OVERRIDE | ROUTER)])
@pytest.mark.parametrize("address", ["fd08::2", "::1", "fd08::ffff:ffff:ffff:fffe"])
def test_an_ipv6_address_is_announced_to_all_nodes(
    address: str, is_router: bool, flags: int
) -> None:
    (frame,) = announcements(MAC, [ip_address(address).packed], is_router=is_router)
    expected = frames.neighbor(
        frames.ADVERTISEMENT,
        address,
        MAC,
        addresses=(address, "ff02::1"),
        macs=ALL_NODES_MAC + MAC,
        flags=flags,
    )
    # The traffic class and the flow label of frames for tests are not zero.
    assert (frame[:14], frame[14:18], frame[18:]) == (expected[:14], b"\x60\0\0\0", expected[18:])


def test_each_address_has_its_frame_in_order() -> None:
    packed = [ip_address(text).packed for text in ("fd08::2", "10.8.0.2")]
    assert [len(frame) for frame in announcements(MAC, packed, is_router=False)] == [86, 42]
    assert announcements(MAC, [], is_router=False) == []


def settings_of(url: str = "wss://al:x@h/vpn", crt: str = "") -> ClientSettings:
    parsed = parse_url(url)
    login = (parsed.user, parsed.password or "") if parsed.user else None
    tls = TlsSettings(certificate=Path(crt) if crt else None)
    return ClientSettings("tap0", parsed, login, tls=tls)


def test_the_mac_is_a_stations_and_the_same_at_each_start() -> None:
    first = default_mac(settings_of(), "tap0", MACHINE)
    assert first is not None
    assert is_station_address(first)
    assert first[0] & 0x03 == 0x02
    assert first == default_mac(settings_of("wss://al:other@h/vpn?token=2"), "tap0", MACHINE)


def test_another_machine_device_server_or_user_means_another_mac() -> None:
    macs = {
        default_mac(settings_of(), "tap0", MACHINE),
        default_mac(settings_of(), "tap1", MACHINE),
        default_mac(settings_of(), "tap0", ("0" * 31 + "2", "host ")),
        default_mac(settings_of(), "tap0", (MACHINE[0], "other ")),
        default_mac(settings_of("wss://bo:x@h/vpn"), "tap0", MACHINE),
        default_mac(settings_of("wss://h/vpn"), "tap0", MACHINE),
        default_mac(settings_of("wss://al:x@h2/vpn"), "tap0", MACHINE),
        default_mac(settings_of("wss://al:x@h/blue"), "tap0", MACHINE),
        default_mac(settings_of(crt="al.pem"), "tap0", MACHINE),
    }
    assert len(macs) == 9


def test_the_macs_of_many_devices_are_all_a_stations() -> None:
    macs = [default_mac(settings_of(), f"tap{number}", MACHINE) for number in range(500)]
    assert all(mac and is_station_address(mac) for mac in macs)
    assert len(set(macs)) == 500


@pytest.mark.parametrize("content", [None, "", "uninitialized\n", "0" * 31 + "\n"])
def test_without_an_id_there_is_no_mac(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    monkeypatch.setattr(mac_module, "MACHINE_ID", tmp_path / "machine-id")
    if content is not None:
        (tmp_path / "machine-id").write_text(content)
    assert machine_name()[0] == ""
    assert default_mac(settings_of(), "tap0", machine_name()) is None


@pytest.mark.parametrize(
    ("own", "first", "shown"), [("a", "a", False), ("a", "b", True), ("a", "missing", True)]
)
def test_a_network_namespace_of_its_own_is_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, first: str, shown: bool
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).touch()
    monkeypatch.setattr(mac_module, "_OWN_NETWORK", tmp_path / own)
    monkeypatch.setattr(mac_module, "_FIRST_NETWORK", tmp_path / first)
    assert machine_name()[1].endswith(str((tmp_path / own).stat().st_ino)) is shown


def test_the_id_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mac_module, "MACHINE_ID", tmp_path / "machine-id")
    (tmp_path / "machine-id").write_text("0123456789abcdef" * 2 + "\n")
    assert machine_name()[0] == "0123456789abcdef" * 2
