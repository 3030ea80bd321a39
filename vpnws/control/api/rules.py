"""Routes of the operator's rules: bans, and limits of identities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import asdict

from vpnws.control.api.ports import MAX_REASON_CHARACTERS, LimitsBody
from vpnws.control.asks import AskError, Done, MakeRuleAsk, RemoveRuleAsk, RulesAsk, ask_here
from vpnws.control.calls import Route
from vpnws.control.paging import Page
from vpnws.control.rules import Rule
from vpnws.control.views import BanView, Limits, LimitsView

if TYPE_CHECKING:
    from vpnws.control.asks import RuleList
    from vpnws.control.calls import Call

MAX_BAN_S: Final = 366 * 24 * 3600
"""A longer ban is refused; to keep somebody out for good, remove them at the web server."""
MIN_BAN_S: Final = 1
"""A shorter ban is refused: it would be over before all processes know of it."""
MAX_NAME_CHARACTERS: Final = 256
"""A longer name in a rule is refused."""
Name = Annotated[str, Meta(max_length=MAX_NAME_CHARACTERS)]


class BanBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may not join, and for how long; what is given must all fit."""

    user: Name = ""
    dn: Name = ""
    addr: Name = ""
    """An address, or a network such as 10.0.0.0/8."""
    network: Name = ""
    """Empty for all networks."""
    for_s: Annotated[float, Meta(ge=MIN_BAN_S, le=MAX_BAN_S)] = 3600.0
    reason: Annotated[str, Meta(max_length=MAX_REASON_CHARACTERS)] = ""


class IdentityLimitsBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose ports get which limits, now and when they come."""

    user: Name = ""
    dn: Name = ""
    network: Name = ""
    limits: LimitsBody


def list_bans(call: Call) -> Page[BanView]:
    """Answer with all bans."""
    held = _rules(call)
    bans = [_ban(call, rule, held.now_s) for rule in held.rules if rule.limits is None]
    return Page(items=tuple(bans))


def ban(call: Call) -> BanView:
    """Keep somebody out for a time, and end the ports that they have."""
    told = asdict(call.body)
    for_s = told.pop("for_s")
    rule = Rule(**told, by=call.by)
    call.peers.ask(MakeRuleAsk(rule=rule, for_s=for_s, noted_at=call.peers.slot))
    held = _rules(call)
    return _ban(call, _find(held, rule.id), held.now_s)


def list_limits(call: Call) -> Page[LimitsView]:
    """Answer with the limits of all identities that have some."""
    limited = [_limits(rule) for rule in _rules(call).rules if rule.limits is not None]
    return Page(items=tuple(limited))


def limit(call: Call) -> LimitsView:
    """Give an identity limits of its own."""
    told = asdict(call.body)
    limits = told.pop("limits").read()
    rule = Rule(**told, limits=limits, by=call.by)
    call.peers.ask(MakeRuleAsk(rule=rule, noted_at=call.peers.slot))
    return _limits(_find(_rules(call), rule.id))


def remove(call: Call) -> Done:
    """Remove a ban, or an identity's limits."""
    return ask_here(call.peers, RemoveRuleAsk(id=call.path["id"], by=call.by))


def _rules(call: Call) -> RuleList:
    """Return all rules; every process knows all of them."""
    return ask_here(call.peers, RulesAsk())


def _find(held: RuleList, rule_id: str) -> Rule:
    for rule in held.rules:
        if rule.id == rule_id:
            return rule
    raise AskError("somebody else has just removed this rule", 409)


def _ban(call: Call, rule: Rule, now_s: float) -> BanView:
    return BanView(
        id=rule.id,
        user=rule.user,
        dn=rule.dn,
        addr=rule.addr,
        network=rule.network,
        reason=rule.reason,
        until_s=call.about.unix_s() + rule.until_s - now_s,
        by=rule.by,
    )


def _limits(rule: Rule) -> LimitsView:
    return LimitsView(
        id=rule.id,
        user=rule.user,
        dn=rule.dn,
        network=rule.network,
        limits=rule.limits or Limits(),
    )


ROUTES: Final = (
    Route("GET", "bans", list_bans, "Lists who may not join.", Page[BanView]),
    Route(
        "POST",
        "bans",
        ban,
        "Keeps a user, a DN or an address out for a time, and ends the ports that they have.",
        BanView,
        body=BanBody,
    ),
    Route("DELETE", "bans/{id}", remove, "Ends a ban.", Done),
    Route(
        "GET",
        "limits",
        list_limits,
        "Lists the limits of identities.",
        Page[LimitsView],
    ),
    Route(
        "POST",
        "limits",
        limit,
        "Gives the ports of an identity limits of their own, now and when they come.",
        LimitsView,
        body=IdentityLimitsBody,
    ),
    Route(
        "DELETE",
        "limits/{id}",
        remove,
        "Removes the limits of an identity; its ports keep them until they go.",
        Done,
    ),
)
