"""The client's settings for one run, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from vpnws.https.tls import TlsSettings

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_MTU_BYTES: Final = 1500
ACCEPTABLE: Final = ("address", "routes", "dns", "mtu")
"""What a server may offer, as --accept calls it and the members of an Offer are called."""
DEFAULT_ACCEPT: Final = ("address", "mtu")
"""A server that nobody has said more of may not change where this machine sends its packets."""
DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}


class ProxyScheme(Enum):
    """How to speak with a proxy."""

    HTTP = "http"
    HTTPS = "https"
    """HTTP over TLS."""
    SOCKS5 = "socks5"
    """This machine looks up the server's name."""
    SOCKS5H = "socks5h"
    """The proxy looks up the server's name."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """Who connects us to the server; user and password are percent-decoded and never shown."""

    scheme: ProxyScheme
    host: str
    """A name in ASCII, or an IP address without brackets, perhaps with an IPv6 zone."""
    port: int
    login: tuple[str, str] | None = field(default=None, repr=False)
    """User and password."""
    origin: str = "--proxy"
    """The option, or the variable of the environment, that names it."""
    authority: Path | None = None
    """The file with the authorities that may sign an HTTPS proxy's certificate; None for the
    system's."""

    @property
    def shown(self) -> str:
        """The proxy as it may be shown."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme.value}://{host}:{self.port}"

    @property
    def named(self) -> str:
        """The proxy as sentences name it, with the variable that it comes from."""
        return f"the proxy {self.shown}{'' if self.origin == '--proxy' else f' ({self.origin})'}"


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """Where the server is; `user` and `password` are percent-decoded and never shown."""

    secure: bool
    host: str
    """A name in ASCII, or an IP address without brackets, perhaps with an IPv6 zone."""
    port: int
    path: str
    query: str = field(default="", repr=False)
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    proxy: Proxy | None = field(default=None, repr=False)
    """Who connects us to it, None if we connect to it ourselves."""

    @property
    def login(self) -> tuple[str, str] | None:
        """User and password, None if the URL names no user."""
        return None if self.user is None else (self.user, self.password or "")

    @property
    def shown(self) -> str:
        """The URL as it may be shown: without user, password and query, which may be secret."""
        scheme = "wss" if self.secure else "ws"
        return f"{scheme}://{self.authority}{self.path}"

    @property
    def authority(self) -> str:
        """Host and port as a URL has them; the default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_default = self.port == DEFAULT_PORTS["wss" if self.secure else "ws"]
        return host if is_default else f"{host}:{self.port}"

    @property
    def server_name(self) -> str:
        """The host without its IPv6 zone, which means something on this machine only."""
        return self.host.partition("%")[0]


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """What the station changes in this machine's network, beside the device's addresses."""

    dhcp: bool = False
    """Whether an address is asked for by DHCP."""
    dhcp_client: str = "own"
    """Who asks: we, or a program of this system."""
    routes: tuple[tuple[str, str], ...] = ()
    """Networks behind the VPN, each with its gateway; empty for one that is in the VPN itself."""
    default_route: bool = False
    gateways: tuple[str, ...] = ()
    """The way out of the VPN, at most one for IPv4 and one for IPv6."""
    dns: tuple[str, ...] = ()
    """Name servers for all names."""
    accept: tuple[str, ...] = DEFAULT_ACCEPT
    """What of the server's offers is applied, of ACCEPTABLE."""
    broadcast: bool = False
    """Whether 255.255.255.255 and IPv4's multicast leave through the VPN."""
    up: tuple[str, ...] = ()
    """The words of --exec; empty for none."""
    down: tuple[str, ...] = ()
    """The words of --exec-down; empty for none."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """The settings of one run; the command line or a test makes them."""

    tap_name: str
    """What names the device: see vpnws.tap.opener."""
    url: ServerUrl
    """The server, the first one if there are several."""
    login: tuple[str, str] | None = field(default=None, repr=False)
    """User and password for HTTP's Basic scheme."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    bridge: str = ""
    """The bridge that the TAP joins, empty for none; the client asks the server to allow it."""
    tls: TlsSettings = field(default_factory=TlsSettings)
    addresses: tuple[str, ...] = ()
    """Addresses of the interface, each with its prefix length."""
    network: NetworkSettings = NetworkSettings()
    mac: bytes | None = None
    mtu_bytes: int = DEFAULT_MTU_BYTES
    persist: bool = False
    """Whether the device stays when the program ends."""
    offload: bool = True
    """Whether the client offers vpnws.offload.1 to the server."""
    once: bool = False
    run_as: str = ""
    """The user that the program becomes; empty for the default."""
    others: tuple[ServerUrl, ...] = ()
    """Servers to try after that, in this order."""

    @property
    def has_secret(self) -> bool:
        """Whether a password or a token is sent to the server."""
        return self.login is not None or self.has_token

    @property
    def has_token(self) -> bool:
        """Whether a header takes the place of user and password."""
        return any(name.lower() == "authorization" for name, _ in self.headers)

    @property
    def certified_name(self) -> str:
        """The name that the server's certificate must have."""
        return self.tls.server_name or self.url.server_name

    @property
    def for_each_server(self) -> tuple[ClientSettings, ...]:
        """These settings, once for each server alone, with the login that belongs there."""
        first = replace(self, others=())
        return (first, *(replace(first, url=url, login=url.login) for url in self.others))
