"""What of an ask the tiers leave: each request is cut down before anything is chosen for it.

An ask never holds a person, an id of a device or an address; what is taken here is what even a
page's visit may not tell (ads specification 3.3 and 3.6).
"""

from __future__ import annotations

from msgspec.structs import replace

from ringwork.ads.model import Ask, Context


def visit_context(ask: Ask, visit_window_s: int) -> Ask:
    """Of less personalised ads: page, coarse surroundings, and the visit where one may be kept."""
    return ask if visit_window_s or not ask.visit else replace(ask, visit="")


def slot_context(ask: Ask) -> Ask:
    """Of the tier ``general``: the slots, whose they are, and what may not be shown there."""
    context = ask.context
    return replace(
        ask,
        visit="",
        context=Context(
            site=context.site,
            app=context.app,
            publisher_id=context.publisher_id,
            placement_id=context.placement_id,
            hour=context.hour,
            blocked_categories=context.blocked_categories,
            blocked_domains=context.blocked_domains,
            blocked_advertisers=context.blocked_advertisers,
        ),
    )
