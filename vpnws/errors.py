"""The errors that vpnws raises on purpose, each with a sentence for the person who must act.

VpnwsError
 +-- ConfigError        a setting is wrong: the start stops
 +-- CapacityError      a bound is reached: try again later, or raise the bound
 +-- RightsError        the web server granted a right that cannot be read
 +-- HookError          a command of vpnws-exec or vpnws-exec-down failed
 +-- LeaseError         the table of leases cannot be read or written: nobody gets a new address
 +-- HandoverError      a port cannot be handed over to another process: its station connects again
 +-- UpgradeError       a request cannot become a port: it gets an HTTP status
 +-- TapError           a TAP device cannot be opened, configured or kept
 |    +-- TapPermissionError   the process lacks CAP_NET_ADMIN, or may not use that device
 |    +-- TapBusyError         another process holds it
 +-- JanitorError       the client's janitor is gone, or cannot start
 +-- ConnectError       the client or vpnws-ctl cannot reach its server
 |    +-- RefusedError         the server answered, and said no (401, 403, ...)
 |    +-- NotSwitchError       what answers does not speak as a web server does
 |    +-- ClosedError          the server closed the connection, and said why with a close code
 |    +-- TlsError             the server's certificate or the TLS handshake failed
 |    +-- NetworkChangedError  this machine's network is another one now: connect anew at once
 +-- ControlError       the server answered vpnws-ctl, and did not do what was asked
      +-- DeniedError          somebody may not do that, or it cannot be done now
      +-- NotFoundError        what was named is not there
      +-- AmbiguousError       a name means several things: choose one of them
      +-- IncompleteError      a process of the server did not answer in time
"""


class VpnwsError(Exception):
    """Base of every error that vpnws raises on purpose; its text is one sentence to show."""


class ConfigError(VpnwsError):
    """A setting has a value that cannot be used; the text names it and what is allowed."""


class CapacityError(VpnwsError):
    """A bound is reached: the same may succeed later, or with a higher bound."""


class RightsError(VpnwsError):
    """A uwsgi var that grants a right cannot be read; the text names it and what is allowed."""


class HookError(VpnwsError):
    """A command of vpnws-exec or vpnws-exec-down failed; the text says which and how."""


class LeaseError(VpnwsError):
    """The table of leases cannot be read or written; the text says why and what to do."""


class HandoverError(VpnwsError):
    """A port cannot be handed over to another process: its station has to connect again."""


class UpgradeError(VpnwsError):
    """A request cannot become a port.

    Arguments: the HTTP `status` line to answer with, and the sentence for the body.
    """

    def __init__(self, status: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class TapError(VpnwsError):
    """A TAP device cannot be opened, configured or kept."""


class TapPermissionError(TapError):
    """The process may not create or use the TAP device: run it with CAP_NET_ADMIN."""


class TapBusyError(TapError):
    """Another process holds the TAP device: stop it or name another device."""


class JanitorError(VpnwsError):
    """The process is gone that sets things up for the client and undoes them, or cannot start."""


class ConnectError(VpnwsError):
    """A program cannot reach its server, or what answers there is something else."""


class RefusedError(ConnectError):
    """The server answered the upgrade request with a status other than 101.

    Arguments: the HTTP `status` code, the sentence to show, and after how many seconds the server
    wants to be asked again, if it said so.
    """

    def __init__(self, status: int, sentence: str, retry_after_s: float | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_after_s = retry_after_s


class NotSwitchError(ConnectError):
    """What answers at the URL does not speak HTTP or WebSocket: asking again does not help."""


class ClosedError(ConnectError):
    """The server closed the connection with a close frame.

    Arguments: the sentence to show, and the close `code` (RFC 6455 7.4).
    """

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


class TlsError(ConnectError):
    """The TLS handshake failed, most often because the certificate could not be verified."""


class NetworkChangedError(ConnectError):
    """This machine's network has changed, or it has slept: a new connection is made at once."""


class ControlError(VpnwsError):
    """The server's control interface answered, and did not do what was asked."""


class DeniedError(ControlError):
    """The server does not let this user do that, or it cannot be done as things are now."""


class NotFoundError(ControlError):
    """What was named is not there: no such port, user, MAC, address or entry."""


class AmbiguousError(ControlError):
    """A name means several things.

    Arguments: the sentence to show, and one line for each `candidates`.
    """

    def __init__(self, sentence: str, candidates: tuple[str, ...]) -> None:
        super().__init__(sentence)
        self.candidates = candidates


class IncompleteError(ControlError):
    """A process of the server did not answer in time, so the whole cannot be told or done."""
