"""Judges the bridges that the server's TAPs are in, and what may drop frames there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.doctor.findings import Name, error, info, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.control.views import FindingView
    from vpnws.doctor.facts import Device, Facts

MIN_FRAMES: Final = 100
"""Frames of stations that must have gone out before silence at the NIC means something."""
MIN_MTU_BYTES: Final = 1280
"""With a smaller MTU a device has no IPv6 (RFC 8200 5)."""
FORWARDING: Final = "forwarding"
_HEADER_BYTES: Final = 18
"""What a frame has besides what the MTU counts: addresses, an 802.1Q tag, the EtherType."""
_FAMILIES: Final = {"ip": ("ip", "inet"), "ip6": ("ip6", "inet"), "arp": ("arp",)}
"""What the kernel may hand over, and the families of chains that then judge it."""
_SEE_CHAINS: Final = "as root: nft list chains; iptables-legacy -S FORWARD"
_DROPS_FOREIGN: Final = {
    "VMware": "allow forged transmits and promiscuous mode on its port group",
    "Microsoft": "Set-VMNetworkAdapter -VMName NAME -MacAddressSpoofing On (in Azure: router mode)",
    "Xen": "ask the cloud, or use router mode: vpnws-mode = router",
    "Amazon": "this cloud cannot allow it; use router mode: vpnws-mode = router",
    "Google": "this cloud cannot allow it; use router mode: vpnws-mode = router",
    "DigitalOcean": "this cloud cannot allow it; use router mode: vpnws-mode = router",
    "Hetzner": "this cloud cannot allow it; use router mode: vpnws-mode = router",
    "OpenStack": "openstack port set --disable-port-security PORT, or vpnws-mode = router",
}
"""Makers of virtual machines, as the firmware begins to spell them, whose switches drop frames from
or to MACs that are not the machine's own, and what helps."""
_ELSEWHERE: Final = "allow foreign MACs in the hypervisor or switch, or use vpnws-mode = router"


def no_bridge(facts: Facts) -> Iterator[FindingView]:
    """Find TAPs of mode bridge that are in none."""
    for tap in facts.taps() if facts.settings.mode == "bridge" else []:
        if not tap.master:
            yield error(
                Name.NO_BRIDGE,
                f"{tap.name} is in no bridge, so stations reach nothing behind it",
                f"ip link set {tap.name} master br0",
            )


def no_lan(facts: Facts) -> Iterator[FindingView]:
    """Find bridges that lead nowhere."""
    for bridge in facts.bridges():
        ports = facts.ports(bridge)
        if not ports:
            yield warning(
                Name.NO_LAN,
                f"{bridge.name} has no other port than the server's TAP, so it leads to no LAN",
                f"ip link set NIC master {bridge.name}",
            )
        for device in [bridge, *ports]:
            if not device.is_up:
                yield error(
                    Name.NO_LAN,
                    f"{device.name} is down, so nothing passes it",
                    f"ip link set {device.name} up",
                )


def bridge_netfilter(facts: Facts) -> Iterator[FindingView]:
    """Find firewalls that drop what is bridged."""
    for bridge in facts.bridges():
        for kind, families in _FAMILIES.items():
            sysctl = f"net.bridge.bridge-nf-call-{kind}tables"
            is_global = facts.sysctls.get(sysctl) == 1
            if not is_global and not (bridge.bridge and kind in bridge.bridge.filters):
                continue
            off = f"sysctl -w {sysctl}=0" if is_global else _bridge_off(bridge.name, kind)
            handed = f"frames that cross {bridge.name} are handed to the firewall for {kind}"
            if facts.forward is None:
                yield warning(
                    Name.BRIDGE_NETFILTER,
                    f"{handed}, and only root can see whether it drops them",
                    f"{_SEE_CHAINS}; if one drops them: {off}",
                )
                continue
            drops = [
                f"{chain.family} {chain.table} {chain.name}"
                for chain in facts.forward
                if chain.family in families and chain.policy == "drop"
            ]
            if drops:
                yield error(
                    Name.BRIDGE_NETFILTER,
                    f"{handed}, whose chain {' and '.join(drops)} drops by policy: stations and LAN"
                    " do not reach each other",
                    off,
                )


def stp(facts: Facts) -> Iterator[FindingView]:
    """Find bridges that let a new port wait."""
    for bridge in facts.bridges():
        if bridge.bridge and bridge.bridge.has_stp and bridge.bridge.forward_delay_s:
            yield warning(
                Name.STP,
                f"{bridge.name} runs spanning tree: a port that comes up forwards nothing for"
                f" {2 * bridge.bridge.forward_delay_s:.0f} s",
                f"ip link set {bridge.name} type bridge stp_state 0",
            )


def port_state(facts: Facts) -> Iterator[FindingView]:
    """Find ports that do not forward, although they are up."""
    for bridge in facts.bridges():
        taps = [tap for tap in facts.taps() if tap.master == bridge.name]
        for port in [*taps, *facts.ports(bridge)]:
            if port.is_up and port.port_state not in ("", FORWARDING, "disabled"):
                yield warning(
                    Name.PORT_STATE,
                    f"{port.name} is {port.port_state} in {bridge.name}, so nothing passes it",
                    f"wait, or end it: ip link set {bridge.name} type bridge stp_state 0",
                )


def foreign_macs(facts: Facts) -> Iterator[FindingView]:
    """Find NICs behind which somebody may drop frames with foreign MACs."""
    helps = next(
        (text for maker, text in _DROPS_FOREIGN.items() if facts.vendor.startswith(maker)), ""
    )
    for bridge in facts.bridges():
        sent = sum(tap.rx_frames for tap in facts.taps() if tap.master == bridge.name)
        for nic in facts.ports(bridge):
            is_silent = not facts.learned.get(nic.name) and nic.is_up
            if is_silent and sent >= MIN_FRAMES and nic.tx_frames >= MIN_FRAMES:
                yield warning(
                    Name.FOREIGN_MACS,
                    f"stations sent {sent} frames into {bridge.name}, and it has heard nobody at"
                    f" {nic.name}: a hypervisor or switch may drop frames with foreign MACs",
                    helps or _ELSEWHERE,
                )
            elif helps and not nic.kind:
                yield info(
                    Name.FOREIGN_MACS,
                    f"this is a virtual machine ({facts.vendor}), whose switch drops frames with"
                    f" foreign MACs at {nic.name} unless it is told otherwise",
                    helps,
                )


def enslaved_address(facts: Facts) -> Iterator[FindingView]:
    """Find ports of a bridge that have an address."""
    for bridge in facts.bridges():
        taps = [tap for tap in facts.taps() if tap.master == bridge.name]
        for port in [*taps, *facts.ports(bridge)]:
            for address in port.addresses[:1]:
                yield warning(
                    Name.ENSLAVED_ADDRESS,
                    f"{port.name} is a port of {bridge.name} and has the address {address}: the"
                    " host is hard to reach at it",
                    f"ip address del {address} dev {port.name};"
                    f" ip address add {address} dev {bridge.name}",
                )


def mtu(facts: Facts) -> Iterator[FindingView]:
    """Find MTUs that let small frames pass and not large ones."""
    longest = facts.settings.max_frame_bytes - _HEADER_BYTES
    for tap in facts.taps():
        if tap.mtu_bytes < MIN_MTU_BYTES:
            yield warning(
                Name.MTU,
                f"{tap.name} has an MTU of {tap.mtu_bytes}, and IPv6 needs {MIN_MTU_BYTES}",
                f"ip link set {tap.name} mtu 1500",
            )
        if tap.mtu_bytes > longest:
            yield warning(
                Name.MTU,
                f"{tap.name} has an MTU of {tap.mtu_bytes}, and vpnws-max-frame ="
                f" {facts.settings.max_frame_bytes} takes {longest}: longer frames are dropped",
                f"ip link set {tap.name} mtu {longest}, or a larger vpnws-max-frame",
            )
        bridge = facts.devices.get(tap.master)
        yield from _differing(tap, facts.ports(bridge)) if bridge else ()


def _differing(tap: Device, ports: list[Device]) -> Iterator[FindingView]:
    for port in ports:
        if port.mtu_bytes != tap.mtu_bytes:
            small, large = sorted((tap, port), key=lambda each: each.mtu_bytes)
            yield warning(
                Name.MTU,
                f"{small.name} has an MTU of {small.mtu_bytes}, and {large.name} in the same"
                f" bridge {large.mtu_bytes}: frames that are longer do not reach {small.name}",
                f"give both one, as in ip link set {tap.name} mtu {port.mtu_bytes}, and the"
                " stations' TAPs too",
            )


def _bridge_off(name: str, kind: str) -> str:
    return f"ip link set {name} type bridge nf_call_{kind}tables 0"
