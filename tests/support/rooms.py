"""The rooms of vpnws in their order, each with its one sentence, and who may import whom."""

from __future__ import annotations

from typing import Final

ROOMS: Final = {
    "vpnws_app": "The module that uwsgi.ini names: builds the server's parts and binds them.",
    "vpnws.server": "One uWSGI server: what runs in its master, its workers and its mule.",
    "vpnws.server.web": (
        "The web side: judges a handshake and reads what the web server says of a station."
    ),
    "vpnws.server.port": (
        "A station's port: its connection, who reads and writes it, and how it is handed over."
    ),
    "vpnws.server.peers": (
        "The other processes of one server: the bus and what all of them share."
    ),
    "vpnws.server.uplink": (
        "The server's TAPs: made at the start, owned by the mule, joined to the switch."
    ),
    "vpnws.server.hooks": (
        "The process for hooks: runs the operator's commands and webhook, and looks at the host."
    ),
    "vpnws.server.inspect": (
        "Makes views of one process's ports, FDB and queues, and does what the operator commands."
    ),
    "vpnws.control": (
        "The operator's side of the server: what can be seen of it, and what can be asked of it."
    ),
    "vpnws.control.metrics": (
        "Metrics for Prometheus: made of what all processes count, anew at each scrape."
    ),
    "vpnws.control.api": (
        "The API for programs: its routes, subject by subject, and their description as OpenAPI."
    ),
    "vpnws.control.page": (
        "The live page: its files, and the strict headers they are served with."
    ),
    "vpnws.doctor": (
        "The doctor: names what on a host is known to break such networks, each with its remedy."
    ),
    "vpnws.client": (
        "The station: a TAP device on Linux, joined to a vpnws switch over a WebSocket."
    ),
    "vpnws.client.program": (
        "The program: command line, settings, exit codes, and the life of one station."
    ),
    "vpnws.client.doctor": (
        "The client's doctor: walks from the server's name to the first frame, and says where it"
        " ends."
    ),
    "vpnws.client.connect": "From a URL to a WebSocket: look up, dial, proxy, TLS, upgrade.",
    "vpnws.client.carry": "Carries frames between the TAP and one connection.",
    "vpnws.client.dhcp": (
        "Gets the station an address by DHCP, and keeps it for as long as the station lives."
    ),
    "vpnws.client.system": "What the station sets up on its machine.",
    "vpnws.client.janitor": (
        "A small privileged process that changes the machine's network for the client, and undoes"
        " it."
    ),
    "vpnws.client.stay": (
        "Notices what a connection does not tell: another network, and a machine that slept."
    ),
    "vpnws.client.service": (
        "What a running client tells its system: the service manager, the log, and who asks for"
        " status."
    ),
    "vpnws.ctl": "The operator's program vpnws-ctl: asks a server what it sees, and steers it.",
    "vpnws.ctl.program": "The program: command line, exit codes, completion in shells.",
    "vpnws.ctl.commands": "The commands: what each asks of the server, and what it shows.",
    "vpnws.ctl.show": "Answers for people: tables, units and ages, with strangers' text made safe.",
    "vpnws.ctl.reach": "The ways to a server's control interface: its own socket, or a URL.",
    "vpnws.switch": (
        "The learning Ethernet switch, without I/O: frames and `now` in, queued frames out."
    ),
    "vpnws.switch.queue": (
        "A port's egress queue: in order while the port keeps up, flow by flow when it does not."
    ),
    "vpnws.switch.guard": (
        "Guards: each looks at a frame or an address and says whether it may pass."
    ),
    "vpnws.dhcp": (
        "DHCPv4 without I/O: how a client gets an address and keeps it, and what a server answers."
    ),
    "vpnws.tap": "TAP devices: one contract, and the devices that keep it.",
    "vpnws.https": (
        "What the client and vpnws-ctl share to speak with a web server: TLS, user and password."
    ),
    "vpnws.commandline": (
        "What the command lines of both programs share: parser, completion, manual pages, units."
    ),
    "vpnws.wire": "The wire formats, as pure functions and state machines over bytes.",
    "vpnws.lease": ("Addresses for stations: the pools, who leases which address, and until when."),
    "vpnws.config": (
        "Every setting of the server, once: its name, unit, default, range and what it is for."
    ),
    "vpnws.config_reader": (
        "Reads the server's settings from uWSGI's placeholders; refuses what cannot be meant."
    ),
    "vpnws.declare": "How a setting is declared, kind by kind, and read from its text.",
    "vpnws.values": "Reads the values of settings that are more than a number or a choice.",
    "vpnws.errors": (
        "The errors that vpnws raises on purpose, each with a sentence for the person who must act."
    ),
    "vpnws.poller": (
        "Waits for many descriptors at once: epoll where there is one, kqueue on FreeBSD and macOS."
    ),
    "vpnws.sizes": "Sizes that several rooms share: each is defined here and nowhere else.",
    "vpnws.text": (
        "Makes strangers' text safe to show: as one word of a log line, or as one short sentence."
    ),
}
"""Every package of vpnws, and the modules that stand beside them: name -> its responsibility."""

LAYERS: Final = (
    ("vpnws_app",),
    ("vpnws.server", "vpnws.client.program", "vpnws.client.__main__"),
    ("vpnws.ctl.program", "vpnws.ctl.__main__"),
    ("vpnws.ctl.commands",),
    ("vpnws.ctl.show", "vpnws.ctl.reach"),
    ("vpnws.ctl",),
    ("vpnws.client.doctor",),
    (
        "vpnws.client.connect",
        "vpnws.client.system",
        "vpnws.client.dhcp",
        "vpnws.client.stay",
        "vpnws.client.service",
    ),
    ("vpnws.client.carry", "vpnws.client.janitor"),
    ("vpnws.doctor",),
    ("vpnws.client", "vpnws.control"),
    ("vpnws.switch", "vpnws.tap", "vpnws.dhcp"),
    ("vpnws.wire",),
    ("vpnws.https",),
    ("vpnws.commandline",),
    ("vpnws.config_reader",),
    ("vpnws.config",),
    ("vpnws.lease",),
    ("vpnws.values", "vpnws.declare"),
    ("vpnws.errors", "vpnws.poller", "vpnws.sizes", "vpnws.text", "vpnws"),
)
"""From top to bottom: a module imports from its own layer and from those under it."""
SIDE_BY_SIDE: Final = (
    ("vpnws.server", "vpnws.client"),
    ("vpnws.control", "vpnws.client"),
    ("vpnws.doctor", "vpnws.client"),
    ("vpnws.ctl", "vpnws.client"),
    ("vpnws.ctl", "vpnws.server"),
    ("vpnws.ctl.show", "vpnws.ctl.reach"),
    ("vpnws.client.connect", "vpnws.client.system", "vpnws.client.service"),
    ("vpnws.client.connect", "vpnws.client.janitor"),
    ("vpnws.client.carry", "vpnws.client.janitor"),
    ("vpnws.client.connect", "vpnws.client.stay"),
    ("vpnws.client.system", "vpnws.client.stay"),
    ("vpnws.client.service", "vpnws.client.janitor"),
    ("vpnws.switch", "vpnws.tap"),
    ("vpnws.switch", "vpnws.dhcp"),
    ("vpnws.tap", "vpnws.dhcp"),
)
"""Rooms of one layer that do not import each other."""
