"""What control asks of the server's processes, and how: every ask names the type of its answer."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar, get_args

from msgspec import Struct

from vpnws.control.event_pages import EventFilter, EventRows, Mark
from vpnws.control.paging import DEFAULT_LIMIT, Filter, Page, Rows, Text, merge_pages
from vpnws.control.rules import Rule
from vpnws.control.trace_facts import EndsFacts, WayFacts
from vpnws.control.views import (
    DropView,
    Limits,
    NetworkView,
    PortView,
    ProcessView,
    TrunkView,
)
from vpnws.errors import VpnwsError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PORT_SERIES: Final = 100
"""Ports that have metrics of their own: those with most bytes. A metric says how many more there
are."""

A = TypeVar("A")
V = TypeVar("V")


class Ask(Struct, Generic[A], frozen=True, kw_only=True):
    """A question or a command for one process or for all; `A` is the type of its answer."""

    @classmethod
    def answer_type(cls) -> Any:
        """Return the type of the answer."""
        return get_args(cls.__orig_bases__[0])[0]  # type: ignore[attr-defined]


class Done(Struct, frozen=True):
    """The answer to a command: how many things it has changed."""

    count: int = 0


class ProcessStatus(Struct, frozen=True, kw_only=True):
    """What one process adds to the status of the server."""

    process: ProcessView
    networks: tuple[str, ...]
    macs: int
    """Those learned on its own ports."""


class StatusAsk(Ask[ProcessStatus], frozen=True):
    """How is this process?"""


class PortsAsk(Ask[Rows[PortView]], frozen=True, kw_only=True):
    """Which ports does this process have?"""

    filter: Filter = Filter()
    has_trunks: bool = False
    """Whether to list trunks too."""


class NetworksAsk(Ask[Rows[NetworkView]], frozen=True, kw_only=True):
    """Which networks does this process have or has it had ports in?"""

    network: Text = ""
    q: Text = ""
    limit: int = DEFAULT_LIMIT
    after: Text = ""


class DropsAsk(Ask[Rows[DropView]], frozen=True, kw_only=True):
    """What do the ports of this process drop?"""

    filter: Filter = Filter()
    is_recent: bool = False
    """Whether to list only what was dropped within the last RECENT_S."""


class ProcessMetrics(Struct, frozen=True, kw_only=True):
    """What one process adds to the metrics."""

    process: ProcessView
    networks: tuple[NetworkView, ...]
    ports: tuple[PortView, ...]
    """The MAX_PORT_SERIES busiest."""
    port_count: int
    trunks: TrunkView


class MetricsAsk(Ask[ProcessMetrics], frozen=True):
    """What is counted in this process?"""


class KickAsk(Ask[Done], frozen=True, kw_only=True):
    """End the port with this id: its station may come back."""

    port: str
    reason: str = ""
    by: str = ""


class BlockAsk(Ask[Done], frozen=True, kw_only=True):
    """Let nothing in or out at a port, or let it again."""

    port: str
    is_blocked: bool
    reason: str = ""
    by: str = ""


class LimitsAsk(Ask[Done], frozen=True, kw_only=True):
    """Change limits of a port; those that are None stay."""

    port: str
    limits: Limits
    by: str = ""


class EndsAsk(Ask[EndsFacts], frozen=True, kw_only=True):
    """Who are the two ends of a trace? Each is a MAC, a port's id, an IP address or a name."""

    source: str
    destination: str
    network: str = ""
    """Empty for all networks."""


class WayAsk(Ask[WayFacts], frozen=True, kw_only=True):
    """What would this process do with a frame?"""

    frame: bytes
    slot: int
    """The process where the frame comes in."""
    port: str
    """The port where it comes in there."""
    label: bytes
    """That port's network and role."""
    goal: str = ""
    """The port that it is meant to reach."""


class EventsAsk(Ask[EventRows], frozen=True, kw_only=True):
    """What has happened in this process?"""

    filter: EventFilter = EventFilter()
    marks: dict[str, Mark] = {}
    """How far whoever asks has read each process's journal, by the processes' names."""


class LiveRows(Struct, frozen=True, kw_only=True):
    """One process's part of what the live stream tells."""

    status: ProcessStatus
    networks: Rows[NetworkView]
    ports: Rows[PortView]
    events: EventRows


class LiveAsk(Ask[LiveRows], frozen=True, kw_only=True):
    """How is this process, what does it hold, and what is new?"""

    networks_limit: int
    ports_limit: int
    events: EventsAsk


class MakeRuleAsk(Ask[Done], frozen=True, kw_only=True):
    """Make a rule for `for_s` seconds; the answer counts the ports that it concerns."""

    rule: Rule
    for_s: float = inf
    noted_at: int
    """The slot of the process that notes the event."""


class RemoveRuleAsk(Ask[Done], frozen=True, kw_only=True):
    """Remove the rule with this id."""

    id: str
    by: str = ""


class RuleList(Struct, frozen=True):
    """All rules, and the time on the clock that they end by."""

    rules: tuple[Rule, ...]
    now_s: float


class RulesAsk(Ask[RuleList], frozen=True):
    """Which rules hold?"""


class AskError(VpnwsError):
    """A process cannot do what it was asked to do.

    Arguments: the sentence to show, and the HTTP status that says the same.
    """

    def __init__(self, sentence: str, status: int = 409) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answers(Generic[A]):
    """What the processes have answered in time."""

    by_process: dict[str, A]
    """By the names of the processes, in their order."""
    missing: tuple[str, ...] = ()
    """The processes that did not answer."""


def ask_here(peers: Peers, ask: Ask[A]) -> A:
    """Return what this process answers: it knows what all processes share. Raises AskError."""
    return next(iter(peers.ask(ask, peers.slot).by_process.values()))


def ask_page(peers: Peers, ask: Ask[Rows[V]], key: Callable[[V], Any], limit: int) -> Page[V]:
    """Return one page of what all processes list, each in the order of `key`. Raises AskError."""
    answers = peers.ask(ask)
    return merge_pages(answers.by_process.values(), key, limit, answers.missing)


class Peers(Protocol):
    """The processes of the server, as one of them reaches all of them."""

    @property
    def slot(self) -> int:
        """The slot of this process itself."""

    def ask(self, ask: Ask[A], slot: int | None = None) -> Answers[A]:
        """Ask the process at `slot`, or all; let others run until they have answered.

        It takes ASK_S at most. A process that does not serve such an ask is left out. Raises
        AskError if a process refuses, or if there is none at `slot` that can answer.
        """

    def post(self, slot: int, message: Ask[Any]) -> bool:
        """Send something that needs no answer; False if there is no room for it now."""

    def let_others_run(self) -> None:
        """Let this process do what else is ready, before the caller goes on with long work."""

    def serve(self, ask: type[Ask[A]], handler: Callable[[Any], A]) -> None:
        """Have `handler` answer what this process is asked. It may raise AskError."""
