"""Routes of networks, drops and processes: what passes, what is dropped and why, who serves."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from operator import add, attrgetter
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

from vpnws.control.asks import DropsAsk, NetworksAsk, StatusAsk, ask_page
from vpnws.control.calls import Route
from vpnws.control.paging import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    Filter,
    Page,
    Rows,
    Text,
    merge_pages,
)
from vpnws.control.ports import drop_key
from vpnws.control.views import DropView, NetworkView, ProcessView, Traffic

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from vpnws.control.asks import Answers
    from vpnws.control.calls import Call


class NetworksQuery(Struct, frozen=True, kw_only=True):
    """Which networks to list."""

    network: Text = ""
    q: Text = ""
    """Any text that the name contains, in either case."""
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    after: Text = ""
    """The `next` of the page before."""


class DropsQuery(Filter, frozen=True, kw_only=True):
    """Which drops to list."""

    recent: bool = False
    """Whether to list only what was dropped within the last seconds."""


def list_networks(call: Call) -> Page[NetworkView]:
    """Answer with one page of networks, each over all processes."""
    query: NetworksQuery = call.query
    answers: Answers[Rows[NetworkView]] = call.peers.ask(
        NetworksAsk(network=query.network, q=query.q, limit=query.limit, after=query.after)
    )
    return merge_networks(answers.by_process.values(), query.limit, answers.missing)


def merge_networks(
    parts: Collection[Rows[NetworkView]], limit: int, missing: tuple[str, ...]
) -> Page[NetworkView]:
    """Return one page of networks from the processes' parts."""
    by_name = attrgetter("name")
    found = sorted((view for part in parts for view in part.items), key=by_name)
    merged = tuple(_merge(tuple(views)) for _, views in groupby(found, by_name))
    rows = Rows(items=merged, has_more=any(part.has_more for part in parts))
    return merge_pages((rows,), _network_key, limit, missing)


def list_drops(call: Call) -> Page[DropView]:
    """Answer with one page of drops: each reason at each port."""
    query: DropsQuery = call.query
    ask = DropsAsk(filter=query, is_recent=query.recent)
    return ask_page(call.peers, ask, drop_key, query.limit)


def list_processes(call: Call) -> Page[ProcessView]:
    """Answer with all processes."""
    answers = call.peers.ask(StatusAsk())
    found = answers.by_process.values()
    return Page(items=tuple(each.process for each in found), missing=answers.missing)


def _merge(views: tuple[NetworkView, ...]) -> NetworkView:
    """Return one network from what each process has of it."""
    drops, recent = Counter[str](), Counter[str]()
    for view in views:
        drops.update(view.drops)
        recent.update(view.recent_drops)
    return NetworkView(
        name=views[0].name,
        stations=sum(view.stations for view in views),
        taps=tuple(dict.fromkeys(tap for view in views for tap in view.taps)),
        macs=sum(view.macs for view in views),
        macs_limit=max(view.macs_limit for view in views),
        macs_refused=sum(view.macs_refused for view in views),
        macs_moved=sum(view.macs_moved for view in views),
        macs_evicted=sum(view.macs_evicted for view in views),
        traffic=_sum(view.traffic for view in views),
        drops=dict(drops),
        recent_drops=dict(recent),
        marks=sum(view.marks for view in views),
        queue_delays=_sum_delays(view.queue_delays for view in views),
        queue_delay_s=sum(view.queue_delay_s for view in views),
    )


def _sum(traffics: Iterable[Traffic]) -> Traffic:
    total = Counter[str]()
    for traffic in traffics:
        total.update({name: getattr(traffic, name) for name in Traffic.__struct_fields__})
    return Traffic(**total)


def _sum_delays(delays: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    first, *others = delays
    for other in others:
        first = tuple(map(add, first, other))
    return first


def _network_key(view: NetworkView) -> tuple[str]:
    return (view.name,)


ROUTES: Final = (
    Route(
        "GET",
        "networks",
        list_networks,
        "Lists networks by name, those too whose last station has gone.",
        Page[NetworkView],
        query=NetworksQuery,
    ),
    Route(
        "GET",
        "drops",
        list_drops,
        "Lists what ports drop, by port and reason, with why and what to do.",
        Page[DropView],
        query=DropsQuery,
    ),
    Route("GET", "processes", list_processes, "Lists the processes.", Page[ProcessView]),
)
