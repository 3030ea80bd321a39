"""Targets: what an operator has at hand (port id, user, MAC, IP) becomes ports and identities."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final

from vpnws.control.trace_target import KINDS
from vpnws.control.views import AddressView, FdbView, PortView, Who
from vpnws.ctl.reach.api import Api, Page, decode
from vpnws.ctl.show import words
from vpnws.errors import AmbiguousError, ConfigError, IncompleteError, NotFoundError
from vpnws.wire.ethernet import format_mac, parse_mac

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMS: Final = "a port's id (2.7), a user, a MAC or an IP address; PREFIX:TEXT says which"
MAX_CANDIDATES: Final = 20
"""So many candidates are listed when a target means several."""
_PORT: Final = re.compile("[0-9]{1,9}\\.t?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Target:
    """What an operator named."""

    kind: str
    """One of KINDS."""
    text: str

    @property
    def said(self) -> str:
        """The target in a sentence."""
        return f"{self.kind} {words.name(self.text)}"

    def query(self) -> dict[str, str]:
        """Return what limits a list to it."""
        return {self.kind if self.kind in ("port", "user", "mac", "ip") else "q": self.text}


def read_target(text: str) -> Target:
    """Return what `text` names, by its form. Raises ConfigError if it names nothing."""
    kind, colon, rest = text.partition(":")
    if colon and kind in KINDS:
        return Target(kind, _canonical(kind, rest))
    if not text:
        raise ConfigError(f"an empty target names nothing: it is {FORMS}")
    if _PORT.fullmatch(text):
        return Target("port", text)
    mac = parse_mac(text)
    if mac is not None:
        return Target("mac", format_mac(mac))
    try:
        return Target("ip", str(ip_address(text)))
    except ValueError:
        return Target("user", text)


def _canonical(kind: str, text: str) -> str:
    if kind == "mac":
        mac = parse_mac(text)
        if mac is None:
            raise ConfigError(f"mac:{text} is not a MAC, like mac:02:00:00:00:00:0a")
        return format_mac(mac)
    if kind in ("ip", "addr"):
        try:
            return str(ip_network(text) if kind == "addr" and "/" in text else ip_address(text))
        except ValueError as error:
            raise ConfigError(f"{kind}:{text} is not an IP address") from error
    if not text or (kind == "port" and not _PORT.fullmatch(text)):
        raise ConfigError(f"{kind}:{text} names nothing: a target is {FORMS}")
    return text


def find_ports(api: Api, target: Target, network: str = "") -> list[PortView]:
    """Return the ports that `target` means, at least one. Raises NotFoundError."""
    found = _look_up(api, target, network)
    if not found:
        raise NotFoundError(_not_found(api, target, network))
    return found


def one_port(api: Api, target: Target, network: str = "", *, hint: str = "") -> PortView:
    """Return the port that `target` means. Raises NotFoundError, AmbiguousError.

    `hint` is added to the sentence about several.
    """
    found = find_ports(api, target, network)
    if len(found) > 1:
        raise AmbiguousError(
            f"{target.said} means {len(found)} ports: name one by its id{hint}",
            tuple(describe(port) for port in found[:MAX_CANDIDATES]),
        )
    return found[0]


def describe(port: PortView) -> str:
    """Return a port in a line: its id, and who and where it is."""
    named = words.name(port.device) if port.device else words.who(port.who)
    address = f" from {words.name(port.who.addr)}" if port.who.addr else ""
    network = f", network {words.name(port.network)}" if port.network else ""
    return f"{port.id} ({named}{address}{network}, {port.process})"


def find_identity(api: Api, target: Target, network: str = "") -> Who:
    """Return whom `target` means, with one of user, DN and address set.

    A user, a DN and an outer address (addr) are taken as they are: who is away can be meant too.
    Of a port, a MAC or an IP address it is whoever has it. Raises NotFoundError, AmbiguousError.
    """
    if target.kind in ("user", "dn", "addr"):
        return Who(**{target.kind: target.text})
    who = _identity_of(_one_name(target, find_ports(api, target, network)))
    if who == Who():
        raise NotFoundError(f"{target.said} has neither user nor DN nor address: name one yourself")
    return who


def find_owner(api: Api, target: Target, network: str = "") -> Who:
    """Return the whole name, user and DN, of whom `target` means.

    A user or a DN that is away is taken as it is. Raises NotFoundError, AmbiguousError.
    """
    try:
        who = _one_name(target, find_ports(api, target, network))
    except NotFoundError:
        if target.kind not in ("user", "dn"):
            raise
        who = Who(**{target.kind: target.text})
    if not who.user and not who.dn:
        raise NotFoundError(f"{target.said} has neither user nor DN: name the owner")
    return who


def _one_name(target: Target, ports: Sequence[PortView]) -> Who:
    """Return what all of `ports` are called. Raises AmbiguousError."""
    found = {(port.who.user, port.who.dn, port.who.addr): port for port in ports}
    names = {(user, dn) for user, dn, _ in found}
    if len(names) > 1 or (names == {("", "")} and len(found) > 1):
        raise AmbiguousError(
            f"{target.said} means {len(found)} stations: name one by its user or its port",
            tuple(describe(port) for port in list(found.values())[:MAX_CANDIDATES]),
        )
    return ports[0].who


def identity_body(who: Who) -> dict[str, str]:
    """Return an identity as a change names it: by user, by DN or by address."""
    kinds = (("user", who.user), ("dn", who.dn), ("addr", who.addr))
    return next({kind: text} for kind, text in kinds if text)


def _identity_of(who: Who) -> Who:
    if who.user:
        return Who(user=who.user)
    return Who(dn=who.dn) if who.dn else Who(addr=who.addr)


def _look_up(api: Api, target: Target, network: str) -> list[PortView]:
    if target.kind == "port":
        port = decode(api.get(f"ports/{target.text}"), PortView)
        return [port] if not network or port.network == network else []
    if target.kind == "mac":
        query = {"mac": target.text, "network": network}
        learned = _by_id(api, [each.port for each in api.items("fdb", query).of(FdbView)])
        # A station that has sent nothing yet has only announced its MAC.
        return learned or _complete(api.items("ports", query)).of(PortView)
    if target.kind == "ip":
        query = {"ip": target.text, "network": network}
        entries = _complete(api.items("addresses", query)).of(AddressView)
        return _by_id(api, [entry.port for entry in entries if entry.ip == target.text])
    ports = _complete(api.items("ports", {"q": target.text, "network": network})).of(PortView)
    named = [port for port in ports if getattr(port.who, target.kind) == target.text]
    return named or [port for port in ports if port.device == target.text]


def _by_id(api: Api, ids: Sequence[str]) -> list[PortView]:
    return [decode(api.get(f"ports/{each}"), PortView) for each in dict.fromkeys(ids) if each]


def _complete(page: Page) -> Page:
    """Return `page` if it has something, or if nothing is missing. Raises IncompleteError."""
    if page.missing and not page.items:
        raise IncompleteError(
            f"not found, but {', '.join(map(words.name, page.missing))} did not answer: it may be"
            " there; try again"
        )
    return page


def _not_found(api: Api, target: Target, network: str) -> str:
    where = f" in network {words.name(network)}" if network else ""
    if target.kind == "ip":
        return (
            f"no station{where} was heard to use the address {target.text}: `who` lists those that"
            " were; a station is heard when it speaks ARP, ND or DHCP, and forgotten when silent;"
            f" addr:{target.text} is who connects from there"
        )
    if target.kind == "mac":
        return f"no port{where} has {target.said}: `fdb` lists every MAC that was learned"
    if target.kind == "user":
        return f"no port{where} is of {target.said}{_near(api, target.text, network)}"
    return f"no port{where} is of {target.said}: `ports` lists them all"


def _near(api: Api, user: str, network: str) -> str:
    """Return a question that names users who are nearly called `user`."""
    ports = api.items("ports", {"network": network}).of(PortView)
    users = sorted({port.who.user for port in ports if port.who.user})
    near = get_close_matches(user, users, n=3)
    if near:
        return f": is {' or '.join(map(words.name, near))} meant?"
    return ": `ports` lists them all (a user may have left)"
